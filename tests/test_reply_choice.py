"""Which reply home automation means."""

from doorbell.domain import Reply, ReplyCommand
from doorbell.outputs.mqtt.reply_choice import ReplyChoice
from doorbell.outputs.mqtt.requests import CHOSEN

COMING, PARCEL = Reply("coming", "I am coming"), Reply("parcel", "Leave it at the door")
OWN = Reply("recording-00000001", "parcel", is_recording=True, seconds=1.0)


def said(choice: ReplyChoice, text: str = CHOSEN) -> str:
    return choice.taken(ReplyCommand(text)).reply_id


def test_of_a_list_the_label_is_meant_and_what_is_gone_is_not_chosen() -> None:
    choice = ReplyChoice()
    choice.know((COMING, PARCEL, OWN))
    assert said(choice) == "coming"
    assert choice.choose(ReplyCommand("parcel"))
    assert said(choice) == OWN.reply_id
    assert choice.document()["chosen"] == "parcel"
    choice.know((COMING, PARCEL))
    assert (said(choice), choice.document()["chosen"]) == ("coming", "I am coming")
    assert not choice.choose(ReplyCommand("Back at six"))
    assert choice.choose(ReplyCommand("Leave it at the door"))
    assert said(choice) == "parcel"


def test_an_automation_says_by_identifier_or_label() -> None:
    choice = ReplyChoice()
    choice.know((COMING, PARCEL))
    assert said(choice, "parcel") == said(choice, "Leave it at the door") == "parcel"
    assert said(choice, "nothing") == "nothing"  # refused, by its name
