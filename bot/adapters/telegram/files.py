"""What customers send beside words, fetched from Telegram: photos, voice, video, files. Nothing is kept here.

The address of a file contains the bot's token; so it is given to nobody, and stands in no error.

Source: https://core.telegram.org/bots/api#getfile (20 MB at most; the address holds for an hour; read 2026-11-25).
"""

from pathlib import PurePosixPath

from telegram import Bot
from telegram.error import BadRequest, TelegramError

from bot.adapters.telegram.failures import translate_error
from bot.errors import DeliveryDelayed, DeliveryRefused

_TOO_BIG = "file is too big"
_GONE = ("wrong file_id", "invalid file_id", "file is temporarily unavailable", "wrong remote file")


async def fetch_file(bot: Bot, file_id: str) -> tuple[str, bytes]:
    """Give name and content of a file.

    Raises:
        DeliveryDelayed: Telegram cannot be asked just now.
        DeliveryRefused: it is too big, or no longer there.
    """
    try:
        file = await bot.get_file(file_id)
        content = bytes(await file.download_as_bytearray())
    except BadRequest as error:
        message = error.message.lower()
        if _TOO_BIG in message:
            raise DeliveryRefused("invalid", "it is larger than the 20 MB that a bot may fetch") from None
        if any(each in message for each in _GONE):
            raise DeliveryRefused("gone", "Telegram no longer has it") from None
        raise translate_error(error) from None
    except TelegramError as error:
        trouble = translate_error(error)
        if isinstance(trouble, DeliveryRefused):
            raise trouble from None
        # To fetch twice does no harm: not knowing is no matter. And what Telegram asks of all is no matter of Slack's.
        raise DeliveryDelayed(str(trouble)) from None
    return PurePosixPath(file.file_path or file_id).name or "file", content
