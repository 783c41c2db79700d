"""From a target's configuration to what reaches it."""

from __future__ import annotations

from doorbell.config.notifications import TargetSection
from doorbell.config.secrets import read_secret
from doorbell.errors import ConfigError
from doorbell.notifier.sending import Sender
from doorbell.notifier.telegram import Chat, Telegram
from doorbell.notifier.telegram_answers import TelegramBots
from doorbell.notifier.webhook import Webhook


def open_sender(section: TargetSection, console: str | None, bots: TelegramBots) -> Sender:
    """Read a target's secrets, and make what reaches it.

    Args:
        section: one of ``[[notifications.targets]]``.
        console: where the console answers; None where no phone can reach one.
        bots: who hears which buttons are pressed in Telegram.

    Raises:
        ConfigError: a file cannot be read, or holds no address that is understood; the address
            itself is not said.
    """
    if section.webhook is not None and section.secret_file is not None:
        return Webhook(section.name, section.webhook, section.secret_file)
    if section.address_file is None:
        raise ConfigError(f"the notification target {section.name} has no address")
    address = read_secret("address_file", section.address_file).strip()
    if address.lower().startswith("tgram://"):
        chat = Chat.read(section.name, address)
        return Telegram(chat, bots.add(chat))
    try:
        from apprise.plugins.ntfy import NotifyNtfy

        from doorbell.notifier.by_apprise import ByApprise, plugin_of
        from doorbell.notifier.ntfy import Ntfy
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("doorbell"):
            raise
        raise ConfigError(
            f"the notification target {section.name} needs the package {exc.name}: "
            "pip install 'doorbell[notify]'"
        ) from exc
    plugin = plugin_of(section.name, address)
    if isinstance(plugin, NotifyNtfy):
        return Ntfy(section.name, plugin, console)
    return ByApprise(plugin)
