"""Whether the broker answers, what it takes, and who else is connected as this doorbell."""

from __future__ import annotations

import os
import threading
import time

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.config import Config, MqttSection
from doorbell.errors import BrokerError
from doorbell.outputs.mqtt.client import describe_failure, short_lived_client
from doorbell.outputs.mqtt.look import read_retained
from doorbell.outputs.mqtt.messages import ONLINE, problem_of
from doorbell.outputs.mqtt.session import describe_twin, is_taken, noted_mark
from doorbell.outputs.mqtt.topics import Topics
from doorbell.outputs.mqtt.trial import find_refusal
from doorbell.pipeline.latency import Latency, Stage, describe

BROKER_SECONDS = 5.0


def check_broker(config: Config) -> str:
    """Connect, and find out what the broker takes; what was found.

    Args:
        config: what is to be checked.

    Raises:
        BrokerError: it does not answer, does not take us or something that we send.
        ConfigError: the password file, a TLS file or the host cannot be used.
    """
    section = config.mqtt
    if not section.enabled:
        return "switched off (mqtt.enabled)"
    where = f"{section.host}:{section.port}"
    client_id = f"doorbell-check-{os.getpid()}"
    latency = _answer(section, Topics(config.device.id).status, client_id, where)
    _check_what_broker_takes(config, client_id, where)
    return f"{where} accepted us and takes every size; {describe(latency.take())}"


def _answer(section: MqttSection, topic: str, client_id: str, where: str) -> Latency:
    """Connect, and subscribe once; how long that took.

    Raises:
        BrokerError: it does not answer, or does not take us.
    """
    latency = Latency()
    answered, acknowledged = threading.Event(), threading.Event()
    refusals: list[str] = []

    def note(
        _client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, _: Properties | None
    ) -> None:
        if code.is_failure:
            refusals.append(str(code))
        answered.set()

    with short_lived_client(section, client_id) as client:
        client.on_connect = note
        client.on_disconnect = lambda *_: answered.set()
        client.on_subscribe = lambda *_: acknowledged.set()
        try:
            client.connect(section.host, section.port, section.keepalive_seconds)
        except OSError as exc:
            raise BrokerError(f"cannot reach {where}: {describe_failure(exc)}") from exc
        client.loop_start()
        if not answered.wait(BROKER_SECONDS):
            raise BrokerError(f"{where} did not answer within {BROKER_SECONDS:.0f} s")
        if refusals:
            raise BrokerError(
                f"{where} refused: {refusals[0]}; check mqtt.username and mqtt.password_file"
            )
        # As long as an event's acknowledgement takes, and nobody hears of it.
        asked = time.perf_counter()
        client.subscribe(topic, qos=1)
        if acknowledged.wait(BROKER_SECONDS):
            latency.add(Stage.PUBLISH, time.perf_counter() - asked)
    return latency


def _check_what_broker_takes(config: Config, client_id: str, where: str) -> None:
    """Try one message of each kind and size, and look who else is connected as this doorbell."""
    section, topics = config.mqtt, Topics(config.device.id)
    try:
        refusal = find_refusal(section, client_id, config.device.id)
    except OSError as exc:
        raise BrokerError(f"cannot reach {where}: {describe_failure(exc)}") from exc
    asked = [topics.availability, topics.session, topics.status]
    lies = read_retained(section, client_id, asked) or {}
    if is_taken(lies, topics, noted_mark(config.storage.outbox_path)):
        raise BrokerError(f"{where}: {describe_twin(f'doorbell-{config.device.id}')}")
    if refusal is not None:
        raise BrokerError(f"{where} accepted us, but {refusal}")
    found = problem_of(lies.get(topics.status, b""))
    if found is not None and lies.get(topics.availability) == ONLINE:
        raise BrokerError(f"{where} accepted us, but the running doorbell says: {found}")
