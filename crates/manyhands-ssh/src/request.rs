//! What can be asked of a channel.

use russh::client::Msg;
use russh::{ChannelWriteHalf, Sig};

use crate::Cause;

/// A request on a session's channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Runs a command.
    Exec(Vec<u8>),
    /// Starts the user's shell.
    Shell,
    /// Starts a subsystem, say `sftp`.
    Subsystem(String),
    /// A terminal for the command or shell that follows.
    Pty {
        /// Its type, as in `TERM`.
        term: String,
        /// Its size.
        size: Size,
    },
    /// The terminal has another size now.
    Resize(Size),
    /// A variable of the environment of what follows. Servers accept only some.
    Env(String, String),
    /// Sends a signal, by its name without `SIG`.
    Signal(String),
    /// Has the server offer the agent of this side to what follows.
    AgentForwarding,
    /// Has the server offer a display.
    X11 {
        /// Whether only one connection is to be forwarded.
        single: bool,
        /// The protocol of authentication, say `MIT-MAGIC-COOKIE-1`.
        protocol: String,
        /// What authenticates, in hexadecimal digits.
        cookie: String,
        /// The number of the screen.
        screen: u32,
    },
}

/// The size of a terminal; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Columns of characters.
    pub columns: u32,
    /// Rows of characters.
    pub rows: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Request {
    /// As an error names it.
    pub(crate) fn name(&self) -> String {
        match self {
            Request::Exec(command) => {
                format!("the command {:?}", String::from_utf8_lossy(command))
            }
            Request::Shell => "a shell".to_owned(),
            Request::Subsystem(name) => format!("the subsystem {name:?}"),
            Request::Pty { .. } => "a terminal".to_owned(),
            Request::Resize(_) => "the size of the terminal".to_owned(),
            Request::Env(name, _) => format!("the environment variable {name:?}"),
            Request::Signal(name) => format!("the signal {name}"),
            Request::AgentForwarding => "agent forwarding".to_owned(),
            Request::X11 { .. } => "X11 forwarding".to_owned(),
        }
    }

    /// Whether the protocol has an answer for it.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self, Request::Resize(_) | Request::Signal(_))
    }

    pub(crate) async fn send(
        self,
        half: &ChannelWriteHalf<Msg>,
        answered: bool,
    ) -> Result<(), Cause> {
        match self {
            Request::Exec(command) => half.exec(answered, command).await,
            Request::Shell => half.request_shell(answered).await,
            Request::Subsystem(name) => half.request_subsystem(answered, name).await,
            Request::Pty { term, size } => {
                let Size { columns, rows, width, height } = size;
                half.request_pty(answered, &term, columns, rows, width, height, &[]).await
            }
            Request::Resize(Size { columns, rows, width, height }) => {
                half.window_change(columns, rows, width, height).await
            }
            Request::Env(name, value) => half.set_env(answered, name, value).await,
            Request::Signal(name) => half.signal(signal(name)).await,
            Request::AgentForwarding => half.agent_forward(answered).await,
            Request::X11 { single, protocol, cookie, screen } => {
                half.request_x11(answered, single, protocol, cookie, screen).await
            }
        }?;
        Ok(())
    }
}

fn signal(name: String) -> Sig {
    match name.as_str() {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        _ => Sig::Custom(name),
    }
}
