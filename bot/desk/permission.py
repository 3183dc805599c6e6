"""Who may work on a case: a pure decision over what Slack says of a person. Asking Slack is the adapter's."""

from dataclasses import dataclass

from bot.desk.shop import Shop


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever wants to do something.

    `is_guest`: of our workspace, with restricted rights. `is_stranger`: of another one, through a shared channel.
    `in_channel`: whether they are in the team's channel; None where nobody could say.
    """

    id: str
    is_guest: bool = False
    is_stranger: bool = False
    in_channel: bool | None = None


def refusal(shop: Shop, team: str, person: Person) -> str | None:
    """Say kindly why somebody may not work on what is `team`'s; None where they may.

    A team's ``members`` in shop.yaml are the only ones where there are any, beside its lead; else whoever is in its
    channel. The CX owner may open every case. Where Slack could not say who is in a channel, a full member of the
    workspace may: better that than a customer who waits because Slack is slow.
    """
    if person.is_stranger:
        return "Only members of this workspace can work on cases. Please ask the team that invited you here."
    if person.is_guest:
        return "Guests of the workspace cannot work on cases. Please ask a full member of the team."
    answering = shop.team(team)
    if person.id in (shop.cx_owner, answering.lead):
        return None
    if answering.members:
        if person.id in answering.members:
            return None
        whom = f"{{user:{answering.lead}}}" if answering.lead else f"somebody of team {team}"
        return f"This case is team {team}'s, and you are not among its members. Please ask {whom}."
    if person.in_channel is False:
        return f"This case is team {team}'s. Please join {answering.channel} first, then try again."
    return None
