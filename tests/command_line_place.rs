//! Where the command runs, what is in its environment, and how its application may be named.
#![allow(clippy::unwrap_used)]

mod command;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use command::{Server, answer, folder, said};

/// Says where it is, and what it was made with.
const SHOP: &str = "
import os
def make(*arguments, **named):
    def application(environ, start_response):
        start_response('200 OK', [])
        open('made', 'w').close()
        said = [os.path.basename(os.getcwd()), os.environ.get('SHOP'), os.environ.get('EMPTY'), arguments, named]
        return [repr(said).encode()]
    return application
application = make()
";

fn body(server: &Server) -> String {
    let answer = answer(server.send("/"));
    answer.rsplit("\r\n\r\n").next().unwrap().to_owned()
}

#[test]
fn chdir_env_and_umask_hold_before_the_application_is_imported() {
    let place = folder(&[("inner/shop.py", SHOP)]);
    let arguments = [
        "web",
        "shop:application",
        "-b",
        "127.0.0.1:0",
        "--chdir",
        "inner",
        "-e",
        "SHOP=a=b",
        "--env",
        "EMPTY=",
        "--umask",
        "077",
        "--logfile",
        "access.log",
    ];
    let server = Server::run(place, &arguments);
    assert_eq!(body(&server), "['inner', 'a=b', '', (), {}]");
    let inner = server.folder.path().join("inner");
    for file in ["made", "access.log"] {
        assert_eq!(fs::metadata(inner.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn spec_33_a_factory_is_called_once_with_its_literals() {
    let place = folder(&[("shop.py", SHOP)]);
    let server = Server::run(place, &["web", "shop:make('x', 1, debug=True)", "-b", "127.0.0.1:0", "-e", "SHOP=1"]);
    assert!(body(&server).ends_with("'1', None, ('x', 1), {'debug': True}]"), "{}", body(&server));
}

#[test]
fn spec_33_a_package_s_module_stands_for_its_application() {
    let place = folder(&[("site_of_mine/__init__.py", ""), ("site_of_mine/wsgi.py", SHOP)]);
    let server = Server::run(place, &["web", "site_of_mine.wsgi", "-b", "localhost:0"]);
    assert!(body(&server).ends_with("None, None, (), {}]"));
}

#[test]
fn what_a_factory_raises_is_its_own_traceback() {
    let place = folder(&[("shop.py", "def make():\n    raise KeyError('inside')\n")]);
    let said = said(place.path(), &["web", "shop:make()"]);
    assert_eq!((said.status.code(), said.err[0].as_str()), (Some(1), "Traceback (most recent call last):"));
    assert_eq!(said.err.last().unwrap(), "KeyError: 'inside'");
    assert!(said.err.iter().any(|line| line.ends_with("shop.py\", line 2, in make")), "{said:?}");
}
