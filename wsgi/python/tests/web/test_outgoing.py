"""How responses are sent: order, patience, producers, and clients that leave."""

import threading
import unittest

from test_web import request  # first: it finds the package

from handwound.internet import error as internet_error


class OutgoingTest(unittest.TestCase):
    def test_what_has_no_room_is_sent_by_a_worker_in_order(self):
        made, exchange = request(room=3)
        for piece in (b"ab", b"cd", b"e"):
            made.write(piece)
        self.assertEqual(exchange.sent, [b"ab"])
        made.finish()
        self.assertIsNone(exchange.ended)
        exchange.settle()
        self.assertEqual((exchange.body, exchange.ended), (b"abcde", "finished"))

    def test_what_waits_is_bounded(self):
        made, exchange = request(room=0)
        for _ in range(17):
            made.write(b"x" * (1 << 20))
        exchange.settle()
        self.assertIn("reads slowly", exchange.ended)

    def test_one_piece_may_be_of_any_size(self):
        made, exchange = request(room=0)
        made.write(b"x" * (17 << 20))
        made.finish()
        exchange.settle()
        self.assertEqual((len(exchange.body), exchange.ended), (17 << 20, "finished"))

    def test_the_end_of_rendering_leaves_others_their_patience(self):
        made, exchange = request(room=0)

        class Producer:
            def resumeProducing(self):
                renders = threading.Thread(target=made._outgoing.wait_here, args=(False,))
                renders.start()
                renders.join()
                made.write(b"a")
                sent.extend(exchange.sent)
                made.unregisterProducer()

        sent = []
        made.registerProducer(Producer(), False)
        exchange.settle()
        self.assertEqual(sent, [b"a"])

    def test_room_that_is_there_at_once_is_told_after_the_pause(self):
        made, exchange = request(room=0)
        exchange.call_in_thread = lambda call: call()
        said = []

        class Producer:
            def pauseProducing(self):
                said.append("pause")

            def resumeProducing(self):
                said.append("resume")

        made.registerProducer(Producer(), True)
        made.write(b"a")
        exchange.settle()
        self.assertEqual(said, ["pause", "resume"])

    def test_who_could_not_know_that_the_client_left_may_finish(self):
        made, exchange = request()
        told = []
        made.notifyFinish().addErrback(lambda why: told.append(why.type))
        exchange.gone = True
        made.finish()
        exchange.settle()
        self.assertEqual(told, [internet_error.ConnectionDone])
        self.assertRaises(RuntimeError, made.finish)

    def test_a_cut_is_told_to_whoever_waits_for_the_end(self):
        made, exchange = request()
        told = []
        made.notifyFinish().addErrback(lambda why: told.append(why.type))
        made.loseConnection()
        exchange.settle()
        self.assertEqual((told, "cut" in exchange.ended), ([internet_error.ConnectionDone], True))

    def test_a_client_that_leaves_ends_the_waiting(self):
        made, exchange = request(room=0)
        made.write(b"a")
        exchange.gone = True
        exchange.settle()
        self.assertEqual(exchange.body, b"")

    def test_a_streaming_producer_pauses_and_goes_on(self):
        made, exchange = request(room=1)
        said = []

        class Producer:
            def pauseProducing(self):
                said.append("pause")

            def resumeProducing(self):
                said.append("resume")

            def stopProducing(self):
                said.append("stop")

        made.registerProducer(Producer(), True)
        self.assertRaises(ValueError, made.registerProducer, Producer(), True)
        made.write(b"a")
        made.write(b"b")
        self.assertEqual(said, ["pause"])
        exchange.settle()
        self.assertEqual(said, ["pause", "resume"])
        exchange.leave()
        self.assertEqual(said, ["pause", "resume", "stop"])

    def test_a_producer_that_raises_fails_the_response(self):
        made, exchange = request()

        class Producer:
            def resumeProducing(self):
                made.write(b"a")
                raise KeyError("in the producer")

        made.registerProducer(Producer(), False)
        exchange.settle()
        self.assertEqual(exchange.body, b"a")
        self.assertIn("KeyError: 'in the producer'", exchange.ended)
