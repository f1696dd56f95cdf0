"""The tutorial's application; its body is a str on purpose, as in the old listing."""


def application(environ, start_response):
    start_response('200 OK', [('Content-type', 'text/plain')])
    return ['Hello, world!']
