//! What the protocol calls on the connection's thread.

use std::sync::Arc;

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure, Names, Sig};

use crate::channel::{Incoming, Origin};
use crate::inbox::{Exit, Output};
use crate::pen::Pen;
use crate::shared::Shared;
use crate::{Cause, ExitSignal, HostKey, Negotiated};

/// The receiving end of a connection. None of its functions waits.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
}

impl Receiver {
    pub(crate) fn new(shared: Arc<Shared>, runtime: tokio::runtime::Handle) -> Receiver {
        Receiver { shared, runtime }
    }

    /// Exchanges keys if so much has come and gone that it is time for that.
    fn rekey_if_due(&self, session: &mut Session) -> Result<(), russh::Error> {
        if self.shared.is_rekey_due() { session.initiate_rekey() } else { Ok(()) }
    }

    async fn take(&self, channel: Channel<Msg>, reply: ChannelOpenHandle, origin: Origin) {
        if !self.shared.has_room() {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return;
        }
        let (_, writer) = channel.split();
        let inbox = self.shared.adopt(writer.id());
        let pen = Pen::new(Arc::clone(&self.shared), self.runtime.clone(), writer, inbox);
        self.shared.arrive(Incoming { pen, origin });
        reply.accept().await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.finish(Cause::Closed("it has ended".into()));
    }
}

impl Handler for Receiver {
    type Error = russh::Error;

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Self::Error> {
        self.shared.facts().banner.get_or_insert_default().push_str(banner);
        Ok(())
    }

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        // Whether to trust it is decided by the caller, before anything secret is sent.
        let key = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                HostKey { algorithm: key.algorithm().as_str().to_owned(), blob: key.to_bytes()? }
            }
            PublicKeyOrCertificate::Certificate(certificate) => HostKey {
                algorithm: certificate.algorithm().to_certificate_type(),
                blob: certificate.to_bytes()?,
            },
        };
        self.shared.facts().host_key = Some(key);
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        {
            let mut facts = self.shared.facts();
            facts.remote_version = String::from_utf8_lossy(session.remote_sshid()).into_owned();
            facts.negotiated = Some(Negotiated {
                kex: names.kex.as_ref().to_owned(),
                host_key: names.key.as_str().to_owned(),
                cipher: names.cipher.as_ref().to_owned(),
                mac: names.client_mac.as_ref().to_owned(),
                strict: names.strict_kex(),
            });
        }
        self.shared.exchanged();
        Ok(())
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // What comes right after this has somewhere to go, whether or not who opened it has been told already.
        self.shared.adopt(id);
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.inbox(id) {
            inbox.push(Output::Standard, data);
        }
        self.rekey_if_due(session)
    }

    async fn extended_data(
        &mut self,
        id: ChannelId,
        code: u32,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // 1 is standard error; there are no others (RFC 4254, section 5.2).
        if code == 1
            && let Some(inbox) = self.shared.inbox(id)
        {
            inbox.push(Output::Error, data);
        }
        self.rekey_if_due(session)
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.inbox(id) {
            inbox.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.forget(id) {
            inbox.close(None);
        }
        Ok(())
    }

    async fn channel_success(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.inbox(id) {
            inbox.reply(true);
        }
        Ok(())
    }

    async fn channel_failure(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.inbox(id) {
            inbox.reply(false);
        }
        Ok(())
    }

    async fn exit_status(
        &mut self,
        id: ChannelId,
        status: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.inbox(id) {
            inbox.set_exit(Exit::Status(status));
        }
        Ok(())
    }

    async fn exit_signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        core_dumped: bool,
        message: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.inbox(id) {
            let name = signal_name(&signal).to_owned();
            let message = message.to_owned();
            inbox.set_exit(Exit::Signal(ExitSignal { name, core_dumped, message }));
        }
        Ok(())
    }

    async fn window_adjusted(
        &mut self,
        id: ChannelId,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(inbox) = self.shared.inbox(id) {
            inbox.allow();
        }
        self.rekey_if_due(session)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        address: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let origin = Origin::Forwarded {
            address: address.to_owned(),
            port,
            originator: originator.to_owned(),
            originator_port,
        };
        self.take(channel, reply, origin).await;
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.take(channel, reply, Origin::Agent).await;
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        channel: Channel<Msg>,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let origin = Origin::X11 { originator: originator.to_owned(), originator_port };
        self.take(channel, reply, origin).await;
        Ok(())
    }

    // A client is asked for none of the following; the protocol's own default would be to agree.

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        self.shared.finish(match reason {
            DisconnectReason::ReceivedDisconnect(told) => {
                Cause::Disconnected { code: told.reason_code as u32, message: told.message }
            }
            DisconnectReason::Error(error) => error.into(),
        });
        Ok(())
    }
}

fn signal_name(signal: &Sig) -> &str {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    }
}
