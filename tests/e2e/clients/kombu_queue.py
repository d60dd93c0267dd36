# SPDX-License-Identifier: Apache-2.0
"""kombu without Celery: simple queues, exchanges of all kinds, priorities, what is not acked."""
import os
import socket

from kombu import Connection, Consumer, Exchange, Producer, Queue

got = []


def take(body, message):
    got.append(body)
    message.ack()


def drain(connection, count):
    got.clear()
    while len(got) < count:
        connection.drain_events(timeout=60)
    return list(got)


with Connection(os.environ["REDIS_URL"] + "/0") as connection:
    with connection.SimpleQueue("simple") as queue:
        for n in range(20):
            queue.put({"n": n, "text": "ö\r\n"})
        assert queue.qsize() == 20
        for n in range(20):
            message = queue.get(timeout=60)
            assert message.payload == {"n": n, "text": "ö\r\n"}
            message.ack()
        try:
            queue.get(timeout=0.2)
            raise AssertionError("more than was put")
        except queue.Empty:
            pass

    topic = Exchange("sensors", type="topic")
    channel = connection.channel()
    hot = Queue("hot", topic, routing_key="*.hot")(channel)
    everything = Queue("all", topic, routing_key="#")(channel)
    hot.declare()
    everything.declare()
    producer = Producer(channel, topic, serializer="json")
    for n in range(10):
        producer.publish(n, routing_key="a.hot" if n % 2 else "a.cold")
    with Consumer(channel, [hot], callbacks=[take]):
        assert drain(connection, 5) == [1, 3, 5, 7, 9]
    with Consumer(channel, [everything], callbacks=[take]):
        assert drain(connection, 10) == list(range(10))

    direct = Queue("ranked", Exchange("ranked"), routing_key="ranked", max_priority=10)(channel)
    direct.declare()
    for n in (0, 3, 6, 9):
        producer.publish(n, exchange="ranked", routing_key="ranked", priority=n)
    with Consumer(channel, [direct], callbacks=[take]):
        assert drain(connection, 4) == [0, 3, 6, 9]

    # One that is refused comes back.
    producer.publish("again", exchange="ranked", routing_key="ranked")
    tries = []

    def refuse_once(body, message):
        tries.append(body)
        message.requeue() if len(tries) == 1 else message.ack()

    with Consumer(channel, [direct], callbacks=[refuse_once]):
        while len(tries) < 2:
            connection.drain_events(timeout=60)
    assert tries == ["again", "again"]
    assert channel.client.exists("unacked") == 0

    # To all who listen now.
    fan = Exchange("news", type="fanout")
    ears = [Connection(os.environ["REDIS_URL"] + "/0") for _ in range(2)]
    heard = [[], []]
    consumers = []
    for n, ear in enumerate(ears):
        consumer = Consumer(ear.channel(), [Queue(f"ear{n}", fan, exclusive=True)], no_ack=True,
                            callbacks=[lambda body, _, n=n: heard[n].append(body)])
        consumer.consume()
        consumers.append(consumer)
    for ear in ears:
        try:
            ear.drain_events(timeout=0.3)
        except socket.timeout:
            pass
    producer.publish("hello", exchange="news", declare=[fan])
    for n, ear in enumerate(ears):
        while not heard[n]:
            ear.drain_events(timeout=60)
        ear.release()
    assert heard == [["hello"], ["hello"]]
    assert everything.purge() == 0
