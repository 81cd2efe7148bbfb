from mtls_operator.api.problems import problems
from tests.unit.api.builders import service


def clients(*durations: str | None) -> dict[str, object]:
    return {"clients": [{"name": f"c{n}", "duration": duration} for n, duration in enumerate(durations)]}


def test_nothing_is_said_of_clients_that_get_what_they_ask_for() -> None:
    assert problems(service(clients(None, "10m", "24h"))) == []


def test_default_that_is_lifted_to_ten_minutes_is_no_problem() -> None:
    assert problems(service({"certificates": {"duration": "60s"}} | clients(None))) == []


def test_clients_that_ask_for_less_than_ten_minutes_are_told_what_to_write() -> None:
    [sentence] = problems(service(clients("5m", None, "9m59s")))
    assert sentence.startswith("certificates of c0, c2 hold for 10m instead of less")
    assert "write a duration of at least 10m" in sentence
    assert 'mtls-operator.io/allow-short-lived: "true"' in sentence


def test_sentence_stays_short_with_many_clients() -> None:
    [sentence] = problems(service(clients(*["1m"] * 8)))
    assert "c3, c4 and 3 more hold" in sentence


def test_annotation_allows_short_lived_certificates() -> None:
    assert problems(service(clients("60s"), {"mtls-operator.io/allow-short-lived": "true"})) == []


def test_annotation_with_another_value_is_told_of() -> None:
    assert problems(service({}, {"mtls-operator.io/allow-short-lived": "yes"})) == [
        'the annotation mtls-operator.io/allow-short-lived has no effect; write "true", or remove it'
    ]
