//! Who the user is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use manyhands_sync::{Gate, Limit};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Response};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};

use crate::handler::Receiver;
use crate::session::Stage;
use crate::wait::drive;
use crate::{Cause, Error, Session, Step, Stop};

/// What the server made of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The user is authenticated.
    Success,
    /// That was right, but more is wanted, by one of these methods.
    Partial(Vec<String>),
    /// That was not accepted; one of these methods may be tried.
    Failure(Vec<String>),
}

/// What a server asks a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it is about.
    pub title: String,
    /// What the user has to know.
    pub instructions: String,
    /// The questions.
    pub prompts: Vec<Prompt>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The words of the server.
    pub text: String,
    /// Whether the answer may be seen by others.
    pub echo: bool,
}

/// A future that is polled where a runtime is entered, as it has timers. It is left again each time: the thread may
/// go on with something else.
struct Entered<F> {
    future: Pin<Box<F>>,
    runtime: tokio::runtime::Handle,
}

impl<F: Future> Future for Entered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        self.future.as_mut().poll(context)
    }
}

/// Why there is no signature.
enum NoSignature {
    /// The connection has ended.
    Ended,
    /// In the words of who should have signed.
    Failed(String),
}

impl From<russh::SendError> for NoSignature {
    fn from(_: russh::SendError) -> Self {
        NoSignature::Ended
    }
}

/// Signs by calling a function.
struct Calling<S>(S);

impl<S> russh::Signer for Calling<S>
where
    S: FnMut(&[u8], Option<&str>) -> Result<Vec<u8>, String> + Send,
{
    type Error = NoSignature;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, NoSignature> {
        let algorithm = hash.map(|hash| match hash {
            HashAlg::Sha256 => "rsa-sha2-256",
            _ => "rsa-sha2-512",
        });
        let signature = (self.0)(&data, algorithm).map_err(NoSignature::Failed)?;
        put_string(&mut data, &signature);
        Ok(data)
    }
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A signature as the protocol has it, by a key of this process.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> Result<Vec<u8>, String> {
    let signature = match key.key_data() {
        KeypairData::Rsa(key) => (key, hash).try_sign(data),
        _ => key.try_sign(data),
    };
    let signature = signature.map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    put_string(&mut out, signature.algorithm().as_str().as_bytes());
    put_string(&mut out, signature.as_bytes());
    Ok(out)
}

fn names(methods: &MethodSet) -> Vec<String> {
    methods.iter().map(|method: &MethodKind| String::from(method)).collect()
}

impl Session {
    /// Asks for access without proof. Servers that do not grant it say what they want.
    ///
    /// # Errors
    /// The connection ends or has ended, is authenticated, or the limit is reached: then it ends.
    #[doc(alias = "paramiko.Transport.auth_none")]
    pub fn auth_none<G: Gate>(
        &self,
        user: &str,
        gate: &G,
        limit: Limit,
    ) -> Result<Authentication, Stop<G::Error>> {
        self.attempt(gate, limit, async |handle| Ok(handle.authenticate_none(user).await?))
    }

    /// Authenticates by a password.
    ///
    /// # Errors
    /// As of [`auth_none`](Self::auth_none).
    #[doc(alias = "paramiko.Transport.auth_password")]
    pub fn auth_password<G: Gate>(
        &self,
        user: &str,
        password: &str,
        gate: &G,
        limit: Limit,
    ) -> Result<Authentication, Stop<G::Error>> {
        self.attempt(gate, limit, async |handle| {
            Ok(handle.authenticate_password(user, password).await?)
        })
    }

    /// Authenticates by a key of this process, if there is one with its certificate.
    ///
    /// # Errors
    /// As of [`auth_none`](Self::auth_none); or the two sides have no common algorithm for signatures by an RSA key.
    #[doc(alias = "paramiko.Transport.auth_publickey")]
    pub fn auth_key<G: Gate>(
        &self,
        user: &str,
        key: &Arc<PrivateKey>,
        certificate: Option<&Certificate>,
        gate: &G,
        limit: Limit,
    ) -> Result<Authentication, Stop<G::Error>> {
        let hash = self.hash(key.algorithm().is_rsa(), gate, limit)?;
        let Some(certificate) = certificate else {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
            return self.attempt(gate, limit, async |handle| {
                Ok(handle.authenticate_publickey(user, key).await?)
            });
        };
        let mut signer = Calling(|data: &[u8], _: Option<&str>| sign(key, hash, data));
        let certificate = certificate.clone();
        self.attempt(gate, limit, async |handle| {
            let attempt =
                handle.authenticate_certificate_with(user, certificate, hash, &mut signer);
            attempt.await.map_err(unsigned)
        })
    }

    /// Authenticates by a key that `sign` has, say one of an agent. It is given what to sign, and for RSA keys the name of
    /// the algorithm, and returns the signature as the protocol encodes it: its type and its bytes, each with its length.
    ///
    /// # Errors
    /// As of [`auth_key`](Self::auth_key); or `sign` fails: then other methods can be tried.
    pub fn auth_key_with<G: Gate>(
        &self,
        user: &str,
        key: &PublicKey,
        certificate: Option<&Certificate>,
        sign: impl FnMut(&[u8], Option<&str>) -> Result<Vec<u8>, String> + Send,
        gate: &G,
        limit: Limit,
    ) -> Result<Authentication, Stop<G::Error>> {
        let hash = self.hash(key.algorithm().is_rsa(), gate, limit)?;
        let mut signer = Calling(sign);
        match certificate.cloned() {
            Some(certificate) => self.attempt(gate, limit, async |handle| {
                let attempt =
                    handle.authenticate_certificate_with(user, certificate, hash, &mut signer);
                attempt.await.map_err(unsigned)
            }),
            None => self.attempt(gate, limit, async |handle| {
                let key = key.clone();
                let attempt = handle.authenticate_publickey_with(user, key, hash, &mut signer);
                attempt.await.map_err(unsigned)
            }),
        }
    }

    /// Authenticates by answers to questions. `answer` is called for each set of them, which may be empty.
    ///
    /// # Errors
    /// As of [`auth_none`](Self::auth_none); or those of `answer`: then the connection ends.
    #[doc(alias = "paramiko.Transport.auth_interactive")]
    pub fn auth_interactive<G: Gate>(
        &self,
        user: &str,
        submethods: &str,
        mut answer: impl FnMut(Question) -> Result<Vec<String>, Stop<G::Error>>,
        gate: &G,
        limit: Limit,
    ) -> Result<Authentication, Stop<G::Error>> {
        let mut handle = self.take()?;
        let submethods = (!submethods.is_empty()).then(|| submethods.to_owned());
        let mut response = self.drive_auth(gate, limit, async {
            handle.authenticate_keyboard_interactive_start(user, submethods).await
        })?;
        loop {
            match response {
                Response::Success => return self.settle(handle, AuthResult::Success),
                Response::Failure { remaining_methods, partial_success } => {
                    let failure = AuthResult::Failure { remaining_methods, partial_success };
                    return self.settle(handle, failure);
                }
                Response::InfoRequest { name, instructions, prompts } => {
                    let prompts = prompts
                        .into_iter()
                        .map(|prompt| Prompt { text: prompt.prompt, echo: prompt.echo })
                        .collect();
                    let answers = answer(Question { title: name, instructions, prompts });
                    let answers = answers.inspect_err(|_| self.give_up())?;
                    response = self.drive_auth(gate, limit, async {
                        handle.authenticate_keyboard_interactive_respond(answers).await
                    })?;
                }
            }
        }
    }

    /// Takes the handle, so that one thread authenticates at a time.
    fn take(&self) -> Result<Box<Handle<Receiver>>, Error> {
        let step = Step::Authenticate;
        let core = self.core(step)?;
        if let Some(cause) = self.shared().ended() {
            return Err(self.error(step, cause));
        }
        let mut stage = core.stage();
        match std::mem::replace(&mut *stage, Stage::Busy) {
            Stage::Fresh(handle) => Ok(handle),
            other => {
                let problem = match &other {
                    Stage::Ready(_) => "the connection is authenticated already",
                    Stage::Busy => "another thread is authenticating",
                    _ => "the connection is closed",
                };
                *stage = other;
                Err(self.error(step, Cause::State(problem)))
            }
        }
    }

    /// Ends a connection of which it is not known what it has come to.
    fn give_up(&self) {
        self.shared().finish(Cause::Closed("authentication was given up".into()));
        self.shared().knife.cut();
    }

    fn drive_auth<G: Gate, T>(
        &self,
        gate: &G,
        limit: Limit,
        attempt: impl Future<Output = Result<T, russh::Error>>,
    ) -> Result<T, Stop<G::Error>> {
        self.drive_attempt(gate, limit, async { Ok(attempt.await?) })?
            .map_err(|cause| self.shared().broken(Step::Authenticate, cause).into())
    }

    fn drive_attempt<G: Gate, T>(
        &self,
        gate: &G,
        limit: Limit,
        attempt: impl Future<Output = Result<T, Cause>>,
    ) -> Result<Result<T, Cause>, Stop<G::Error>> {
        match drive(attempt, gate, limit) {
            Ok(Some(result)) => Ok(result),
            unfinished => {
                self.give_up();
                unfinished.map_err(Stop::Interrupted)?;
                Err(self.error(Step::Authenticate, Cause::TimedOut).into())
            }
        }
    }

    fn attempt<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
        attempt: impl AsyncFnOnce(&mut Handle<Receiver>) -> Result<AuthResult, Cause>,
    ) -> Result<Authentication, Stop<G::Error>> {
        let mut handle = self.take()?;
        match self.drive_attempt(gate, limit, attempt(&mut handle))? {
            Ok(result) => self.settle(handle, result),
            Err(cause) => {
                self.put_back(Stage::Fresh(handle));
                Err(self.shared().broken(Step::Authenticate, cause).into())
            }
        }
    }

    fn put_back(&self, stage: Stage) {
        if let Ok(core) = self.core(Step::Authenticate) {
            let mut place = core.stage();
            // It may have been closed meanwhile.
            if matches!(*place, Stage::Busy) {
                *place = stage;
            }
        }
    }

    fn settle<I>(
        &self,
        handle: Box<Handle<Receiver>>,
        result: AuthResult,
    ) -> Result<Authentication, Stop<I>> {
        match result {
            AuthResult::Success => {
                self.put_back(Stage::Ready(Arc::new(*handle)));
                Ok(Authentication::Success)
            }
            AuthResult::Failure { remaining_methods, partial_success } => {
                self.put_back(Stage::Fresh(handle));
                // The end of the connection comes as a failure, too.
                if remaining_methods.is_empty()
                    && let Some(cause) = self.shared().ended()
                    && !matches!(cause, Cause::NoMethod)
                {
                    return Err(self.error(Step::Authenticate, cause).into());
                }
                let methods = names(&remaining_methods);
                Ok(if partial_success {
                    Authentication::Partial(methods)
                } else {
                    Authentication::Failure(methods)
                })
            }
        }
    }

    /// The algorithm for signatures by an RSA key that both sides know.
    fn hash<G: Gate>(
        &self,
        is_rsa: bool,
        gate: &G,
        limit: Limit,
    ) -> Result<Option<HashAlg>, Stop<G::Error>> {
        if !is_rsa {
            return Ok(None);
        }
        let step = Step::Authenticate;
        let core = self.core(step)?;
        let handle = self.take()?;
        let runtime = core.runtime.clone();
        let asking = Box::pin(async { Ok(handle.best_supported_rsa_hash().await?) });
        let best = self.drive_attempt(gate, limit, Entered { future: asking, runtime })?;
        self.put_back(Stage::Fresh(handle));
        let best = best.map_err(|cause| self.shared().broken(step, cause))?;
        let allowed = &core.signatures;
        // Who knows a stronger one knows the weaker ones, but for the one with SHA-1.
        let usable = |name: &&String| match best {
            None | Some(Some(HashAlg::Sha512)) => true,
            Some(Some(_)) => name.as_str() == "rsa-sha2-256",
            Some(None) => name.as_str() == "ssh-rsa",
        };
        match allowed.iter().find(usable).map(String::as_str) {
            Some("rsa-sha2-512") => Ok(Some(HashAlg::Sha512)),
            Some("rsa-sha2-256") => Ok(Some(HashAlg::Sha256)),
            Some(_) => Ok(None),
            None => Err(self
                .error(
                    step,
                    Cause::NoCommonAlgorithm {
                        kind: "algorithm for signatures by an RSA key",
                        ours: allowed.clone(),
                        theirs: vec![match best {
                            Some(Some(HashAlg::Sha256)) => "rsa-sha2-256".to_owned(),
                            _ => "ssh-rsa".to_owned(),
                        }],
                    },
                )
                .into()),
        }
    }
}

fn unsigned(failure: NoSignature) -> Cause {
    match failure {
        NoSignature::Ended => Cause::Closed("it has ended".into()),
        NoSignature::Failed(words) => Cause::Signing(words),
    }
}
