"""What a broker hears of somebody at the door while the daemon is killed and starts again."""

import pytest
from broker_stories import ANNA, running

from doorbell.domain import Left, Visit
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


def test_somebody_stays_at_the_door_until_the_visit_that_was_left_open_ends(
    broker: Mosquitto,
) -> None:
    left_open = Visit("left-open", 1000.0, 1010.0, visitor=ANNA)
    with Subscriber(broker.port) as listener:
        with running(broker.port, people=(ANNA,), open_visits=(left_open,)) as mqtt:
            assert eventually(lambda: listener.of("mute/state") != [])
            assert listener.of("presence") == [b"ON"]
            mqtt.handle(Left("e1", 1010.0, left_open))
            assert eventually(lambda: len(listener.of("event")) == 1)
        assert listener.of("presence") == [b"ON", b"OFF"]
