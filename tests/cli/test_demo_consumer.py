"""What the demo's consumer makes of events: what is missing, wrong, repeated or out of order in Kafka."""

import json

from hedgerow_cli.demo.consumer import Arrivals

ITEMS = [{"_id": ["a", n], "board": "b", "n": n, "t": 1.5, "_time": "later"} for n in (1, 2)]


def event(txn: int, n: int, t: float = 1.5) -> bytes:
    change = {
        "method": "upsert",
        "oldValue": None,
        "newValue": {"_id": ["a", n], "board": "b", "n": n, "t": t},
    }
    return json.dumps({"txnId": txn, "type": "documentChanged", "collection": "r", "change": change}).encode()


def test_what_has_come_is_said_once_and_compared() -> None:
    said: list[str] = []
    arrivals = Arrivals(said.append)
    arrivals.take(event(5, 1))
    assert said == ["Kafka: board=b n=1 t=1.5"]
    assert not arrivals.compare(ITEMS, "t") and not arrivals.clean
    assert arrivals.figures["kafka_missing"] == 1
    arrivals.take(event(6, 2))
    arrivals.take(event(5, 1))
    arrivals.take(b'{"txnId": 7, "type": "requeryRequired", "documents": []}')
    removal = {"txnId": 8, "type": "documentChanged", "change": {"method": "remove", "value": {}}}
    arrivals.take(json.dumps(removal).encode())
    assert arrivals.compare(json.loads(json.dumps(ITEMS), parse_float=str), "n") and arrivals.clean
    assert len(said) == 2 and arrivals.figures["kafka_repeats"] == 1
    assert arrivals.figures["in_kafka"] == 2 and "Every document is in Kafka: 2" in arrivals.verdict


def test_what_is_wrong_or_out_of_order_is_counted() -> None:
    arrivals = Arrivals(lambda text: None)
    arrivals.take(event(5, 1, 9.5))
    arrivals.take(event(6, 2))
    assert arrivals.compare(ITEMS, "t") and not arrivals.clean
    assert arrivals.figures["kafka_wrong"] == 1
    arrivals.take(event(4, 2))
    arrivals.take(event(7, 1))
    assert arrivals.compare(ITEMS, "t") and arrivals.figures["kafka_wrong"] == 0
    assert arrivals.figures["kafka_disorder"] == 1 and not arrivals.clean
    assert "does not have" in arrivals.verdict
