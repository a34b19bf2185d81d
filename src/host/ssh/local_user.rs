//! Who runs this program: their name, home directory and agent. Reads the environment, nothing else does here.

use std::path::{Path, PathBuf};

use crate::local_file;

/// The private keys that ssh looks for, in the directory `.ssh`.
const USUAL_FILES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// A user of this machine.
#[derive(Debug, Clone, Default)]
pub struct LocalUser {
    /// Name; `None`: the system is asked.
    pub name: Option<String>,
    /// Home directory, which has `.ssh`.
    pub home: Option<PathBuf>,
    /// Socket of the agent.
    pub agent: Option<PathBuf>,
    /// The machine's ssh_config, which is read after the user's own.
    pub system_config: Option<PathBuf>,
}

impl LocalUser {
    /// The one who runs this program.
    #[must_use]
    pub fn current() -> Self {
        let set = |name: &&str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            name: ["USER", "LOGNAME"].iter().find_map(set).and_then(|name| name.into_string().ok()),
            home: std::env::home_dir(),
            agent: set(&"SSH_AUTH_SOCK").map(PathBuf::from),
            system_config: Some(PathBuf::from("/etc/ssh/ssh_config")),
        }
    }

    /// The private keys that ssh looks for, as far as they are there.
    pub(super) fn usual_files(&self) -> Vec<PathBuf> {
        let directory = self.home.as_ref().map(|home| home.join(".ssh"));
        let files = directory.into_iter().flat_map(|directory| USUAL_FILES.map(|name| directory.join(name)));
        files.filter(|path| path.exists()).collect()
    }

    /// The name, without asking a program: jobs in containers often have it in no variable.
    pub(super) fn name_on_file(&self) -> Result<String, String> {
        let uid = rustix::process::getuid().as_raw().to_string();
        let of_passwd = || {
            let (bytes, _) = local_file::read(Path::new("/etc/passwd"), local_file::MAX_SSH_FILE).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let line = text.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
            line.split(':').next().filter(|name| !name.is_empty()).map(str::to_owned)
        };
        let name = self.name.clone().or_else(of_passwd);
        name.ok_or_else(|| "the local user has no name in USER and /etc/passwd: set `ssh.user`".to_owned())
    }

    /// The name. In containers and cron jobs the environment does not say it.
    pub(super) async fn name(&self) -> Result<String, String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let id = tokio::process::Command::new("id").arg("-un").output().await.map_err(|error| error.to_string())?;
        let name = String::from_utf8_lossy(&id.stdout).trim().to_owned();
        if name.is_empty() { Err("the local user has no name: set `ssh.user`".to_owned()) } else { Ok(name) }
    }
}
