//! One command as a page has it: its words, the ports that it names, and other ports in their place.

use handwound_cli::{Arguments, Command, Refusal, Web};

/// A command: variables, program, arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub variables: Vec<(String, String)>,
    pub words: Vec<String>,
}

/// What the command line makes of it.
pub enum Meant {
    /// It serves until it is stopped.
    Serves(Box<Web>),
    /// It prints something and ends.
    Prints,
}

/// The options whose values have a port.
const WITH_PORT: [&str; 7] = ["-b", "--bind", "-p", "--port", "--listen", "--https", "--http"];

impl Line {
    /// Reads one command, as a shell would: words, quotes, variables in front.
    pub fn read(text: &str) -> Line {
        let mut line = Line::default();
        for word in words(text) {
            match word.split_once('=') {
                Some((name, value)) if line.words.is_empty() && name.bytes().all(is_name) => {
                    line.variables.push((name.to_owned(), value.to_owned()));
                }
                _ => line.words.push(word),
            }
        }
        line
    }

    /// The arguments of `handwound`, if that is what it calls, in one of the ways that there are.
    pub fn handwound(&self) -> Option<&[String]> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words[..] {
            ["handwound", ..] => Some(&self.words[1..]),
            ["python" | "python3", "-m", "handwound", ..] => Some(&self.words[3..]),
            ["cargo", "run", ..] => words.iter().position(|word| *word == "--").map(|at| &self.words[at + 1..]),
            [program, ..] if program.ends_with("/handwound") => Some(&self.words[1..]),
            _ => None,
        }
    }
}

/// What these arguments of `handwound` mean.
///
/// # Errors
/// What the command says about them.
pub fn meant(arguments: &[String]) -> Result<Meant, String> {
    let all = std::iter::once("handwound").chain(arguments.iter().map(String::as_str));
    match Arguments::read(all) {
        Ok(Arguments { command: Command::Web(web), .. }) => Ok(Meant::Serves(web)),
        #[allow(unreachable_patterns)]
        Ok(_) | Err(Refusal::Asked(_)) => Ok(Meant::Prints),
        Err(Refusal::Wrong(why)) => Err(why),
    }
}

/// The same arguments with port 0 wherever a port is named; tests run beside each other, and without privileges.
pub fn any_ports(arguments: &[String]) -> Vec<String> {
    let mut option = "";
    let mut changed = Vec::new();
    for word in arguments {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if WITH_PORT.contains(&option) {
            changed.push(any_port(word));
            option = "";
        } else if WITH_PORT.contains(&name) && !value.is_empty() {
            changed.push(format!("{name}={}", any_port(value)));
        } else {
            option = word;
            changed.push(word.clone());
        }
    }
    changed
}

/// `8080` or `tcp:8080:interface=…` or `127.0.0.1:8000` with 0 for the port.
fn any_port(value: &str) -> String {
    if value.starts_with("unix:") || value.starts_with("systemd:") {
        return value.to_owned();
    }
    let is_port = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = value.split(':').collect();
    let Some(at) = parts.iter().rposition(|part| is_port(part)) else { return value.to_owned() };
    let mut parts: Vec<&str> = parts;
    parts[at] = "0";
    parts.join(":")
}

/// The TCP ports at which these options listen, in the order in which the command names them.
pub fn ports(web: &Web) -> Vec<String> {
    let endpoints = web.serving.endpoints();
    let described = endpoints.iter().map(ToString::to_string).filter(|text| !text.starts_with("unix:"));
    let named = described.filter_map(|text| text.split(':').nth(1).map(str::to_owned));
    named.chain(web.serving.https.https.map(|port| port.to_string())).collect()
}

/// The ports in what the command says when it listens.
pub fn ports_said(line: &str) -> Vec<String> {
    let urls = line.split_whitespace().filter(|word| word.starts_with("http"));
    let ports = urls.filter_map(|url| url.trim_end_matches([',', '/']).rsplit_once(':'));
    ports.map(|(_, port)| port.to_owned()).collect()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'_'
}

/// Words with their quotes taken off; what follows a `#` is a comment.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The commands of a block: a backslash at the end goes on in the next line.
pub fn commands(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    let lines = whole.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_has_variables_words_and_comments() {
        let line = Line::read("A_B=1 handwound web 'a b'  --env X=\"y z\" # why");
        assert_eq!(line.variables, [("A_B".to_owned(), "1".to_owned())]);
        assert_eq!(line.handwound().unwrap(), ["web", "a b", "--env", "X=y z"]);
    }

    #[test]
    fn handwound_is_called_in_several_ways() {
        let check = |text: &str| assert_eq!(Line::read(text).handwound().unwrap(), ["web", "a:b"], "{text}");
        check("handwound web a:b");
        check("python -m handwound web a:b");
        check("cargo run --release -- web a:b");
        check("/srv/shop/venv/bin/handwound web a:b");
        assert_eq!(Line::read("curl localhost").handwound(), None);
    }

    #[test]
    fn ports_become_any_port() {
        let check = |text: &str, changed: &str| {
            let line = Line::read(text);
            assert_eq!(any_ports(&line.words).join(" "), changed);
        };
        check("web a:b -b 127.0.0.1:8000 --port 80", "web a:b -b 127.0.0.1:0 --port 0");
        check("web a:b --listen=tcp:80:interface=10.0.0.1", "web a:b --listen=tcp:0:interface=10.0.0.1");
        check("web a:b -b :8000 -w 4 --https 443", "web a:b -b :0 -w 4 --https 0");
        check("web a:b --listen unix:x:mode=660", "web a:b --listen unix:x:mode=660");
    }

    #[test]
    fn said_ports_are_found() {
        let said = "handwound: listening on http://127.0.0.1:4187/ and https://[::1]:44/ with 5 to 20 threads";
        assert_eq!(ports_said(said), ["4187", "44"]);
    }
}
