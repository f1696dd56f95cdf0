//! Resources of a script at work: who waits for whom, who is told of what.

use super::*;

const TREE: &str = "
import threading
from twisted.internet import reactor
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.wsgi import WSGIResource

class Leaf(Resource):
    isLeaf = True
    def __init__(self, answer):
        Resource.__init__(self)
        self.render_GET = answer

told, both = [], threading.Barrier(2, timeout=30)

def leaves(request):
    request.notifyFinish().addErrback(lambda failure: told.append(failure.type.__name__)).addBoth(lambda _: gone.set())
    request.write(b'begun')
    return NOT_DONE_YET
gone = threading.Event()

def seen(request):
    gone.wait(30)
    return repr(told).encode()

def slowly(request):
    left = [200]
    def produce():
        if left[0]:
            left[0] -= 1
            request.write(b'x' * 50000)
            reactor.callLater(0, produce)
        else:
            request.finish()
    produce()
    return NOT_DONE_YET

def thread(environ, start_response):
    start_response('200 OK', [])
    return [b'its own' if threading.get_ident() in threads else b'another']

pool, threads = ThreadPool(1, 1, 'mine'), set()
pool.start()
pool.callInThread(lambda: threads.add(threading.get_ident()))
reactor.addSystemEventTrigger('during', 'shutdown', pool.stop)

resource = Resource()
resource.putChild(b'leaves', Leaf(leaves))
resource.putChild(b'seen', Leaf(seen))
resource.putChild(b'both', Leaf(lambda request: str(both.wait()).encode()))
resource.putChild(b'forgotten', Leaf(lambda request: NOT_DONE_YET))
resource.putChild(b'slowly', Leaf(slowly))
resource.putChild(b'own', WSGIResource(reactor, pool, thread))
resource.putChild(b'pool', WSGIResource(reactor, reactor.getThreadPool(), thread))
";

fn tree() -> Server {
    Server::start(
        None,
        &[("tree.py", TREE), ("root.rpy", "from tree import resource")],
        &["--resource-script", "root.rpy"],
    )
}

#[test]
fn a_resource_is_told_when_the_client_leaves() {
    let server = tree();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(b"GET /leaves HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut bytes = [0; 4096];
    assert!(stream.read(&mut bytes).unwrap() > 0);
    drop(stream);
    assert_eq!(server.get("/seen").body(), "['ConnectionDone']");
}

#[test]
fn resources_render_side_by_side() {
    let server = tree();
    let port = server.port;
    let other = std::thread::spawn(move || ask(port, "GET /both HTTP/1.0\r\nHost: x\r\n\r\n").body().to_owned());
    let mut answers = [server.get("/both").body().to_owned(), other.join().unwrap()];
    answers.sort();
    assert_eq!(answers, ["0", "1"]);
}

#[test]
fn a_request_that_nobody_can_finish_is_a_500() {
    let server = tree();
    assert_eq!(server.get("/forgotten").status(), 500);
    server.next_line_with("dropped without an end");
}

#[test]
fn a_call_that_writes_to_a_slow_client_keeps_no_other_call_waiting() {
    let server = tree();
    let mut slow = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    slow.set_read_timeout(Some(DEADLINE)).unwrap();
    slow.write_all(b"GET /slowly HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    // Reads nothing yet: the second one's calls run nevertheless.
    let body = server.get("/slowly").body().len();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    let head = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    assert_eq!((body, rest.len() - head), (10_000_000, 10_000_000));
}

#[test]
fn an_application_runs_on_the_pool_that_it_was_given() {
    let server = tree();
    assert_eq!((server.get("/own").body(), server.get("/pool").body()), ("its own", "another"));
}
