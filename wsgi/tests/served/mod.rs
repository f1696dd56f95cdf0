//! A folder that is served in a simulation, and what it answers.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use handwound_testkit::{Choices, Sim};
use handwound_wsgi::Application;
use handwound_wsgi::files::{FilesConfig, Folder};
use handwound_wsgi::testing::{Server, serve};
use tempfile::TempDir;

pub struct Served {
    folder: TempDir,
    pub sim: Sim,
    pub server: Server,
}

impl Served {
    /// Serves a new folder that `make` has filled.
    pub fn new(make: impl FnOnce(&Path)) -> Served {
        Served::with_config(FilesConfig::default(), make)
    }

    pub fn with_config(config: FilesConfig, make: impl FnOnce(&Path)) -> Served {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let application = Folder::with_config(folder.path(), config);
        Served::with_folder(folder, application)
    }

    /// Serves an application, its folder being its own.
    pub fn application(application: impl Application) -> Served {
        Served::with_folder(tempfile::tempdir().unwrap(), application)
    }

    fn with_folder(folder: TempDir, application: impl Application) -> Served {
        let sim = Sim::new(Choices::calm());
        let server = serve(&sim, 1, application);
        Served { folder, sim, server }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn set_modified(&self, name: &str, seconds: u64) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let client = self.server.connect(&self.sim);
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n"));
        self.sim.advance(Duration::from_secs(2));
        let received = client.received();
        let end = received.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(received[..end].to_vec()).unwrap();
        Answer { head, body: received[end + 4..].to_vec() }
    }
}

/// A response as it came.
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
    }

    #[track_caller]
    pub fn has(&self, name: &str, value: &str) {
        assert_eq!(self.header(name).as_deref(), Some(value), "{}", self.head);
    }

    #[track_caller]
    pub fn check(&self, status: u16, body: &[u8]) {
        assert_eq!(self.status(), status, "{}", self.head);
        assert!(
            self.body == body,
            "{} bytes: {:?}",
            self.body.len(),
            self.text().chars().take(200).collect::<String>()
        );
    }
}
