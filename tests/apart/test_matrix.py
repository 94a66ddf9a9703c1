"""Access to cases: every route × every caller × every token, on each side of case and caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Final, TypeAlias

import jwt
import pytest
from multidict import CIMultiDict

from proxy import jsons
from proxy.sandbox import SandboxConfig
from proxy.sandbox.tokens import Claims, Tokens
from proxy.values import Side
from tests.apart.belongings import Belongings, canaries
from tests.apart.matrix import (
    MALFORMED,
    NO_TOKEN,
    OK,
    PATHS,
    REFUSED,
    UNKNOWN_ID,
    Cell,
    Person,
    ask,
    foreign,
    sign_up,
)
from tests.conftest import Api, Clock, StartProxy, bearer
from tests.rollout.moving import ROUTES, override

LIVES: Final[tuple[tuple[Side, Side], ...]] = (
    ("new", "new"),
    ("legacy", "legacy"),
    ("new", "legacy"),
    ("legacy", "new"),
)


@dataclass
class House:
    """A proxy with its owner of a case on side `home`, and two strangers who live on side `stranger`."""

    api: Api
    home: Side
    stranger: Side
    owner: Person
    another_user: Person
    another_organization: Person
    belongings: Belongings = field(default_factory=Belongings)
    told: list[str] = field(default_factory=list)

    async def cell(
        self, route: str, caller: Person, headers: Mapping[str, str], legacy_id: str | None = None
    ) -> Cell:
        """Returns a caller's answer, which must hold nothing of anybody else's."""
        case = self.owner.cases[self.home] if legacy_id is None else legacy_id
        status, text = await ask(self.api, route, case, headers, caller)
        words = self.belongings.foreign(caller.mail + caller.organization, text.encode())
        # The id that was asked for is no news, and one mail may be of two organizations.
        self.told += [f"{route}: {word}" for word in words if word not in (case, caller.mail)]
        return status, text

    @property
    def strangers(self) -> dict[str, Person]:
        return {"another user": self.another_user, "another organization": self.another_organization}


async def living(api: Api, home: Side, stranger: Side) -> House:
    random = Random(5)
    owner, another, elsewhere = (
        Person(mail, organization, canaries(random))
        for mail, organization in [
            ("user1@clinica.example", "Clínica Norte"),
            ("user2@clinica.example", "Clínica Norte"),
            ("user1@clinica.example", "Clínica Sur"),
        ]
    )
    await everybody_on(api, home)
    await sign_up(api, owner, home)
    await ask(api, "upload_audio", owner.cases[home], bearer(owner.tokens[home]), owner)
    await everybody_on(api, stranger)
    for each in (another, elsewhere):
        await sign_up(api, each, stranger)
    house = House(api, home, stranger, owner, another, elsewhere)
    for each in (owner, another, elsewhere):
        mine = (*each.words.values(), *each.tokens.values(), *each.cases.values())
        house.belongings.give(each.mail + each.organization, *mine)
    return house


async def everybody_on(api: Api, side: Side) -> None:
    if api.proxy.deps.upstreams.michiq is None:
        assert side == "new"
        return
    for route in ROUTES:
        await override(api, route, side)


def judged(found: Cell, expected: Cell) -> Cell:
    """Returns the cell as found, without a text that no document fixes."""
    return found if expected[1] is not None else (found[0], None)


Callers: TypeAlias = dict[str, tuple[Person, Mapping[str, str], dict[str, Cell]]]


async def differing(house: House, callers: Callers) -> list[str]:
    wrong = []
    for route in PATHS:
        for who, (caller, headers, expected) in callers.items():
            legacy_id = "nobody-has-this" if who == "unknown id" else None
            found = judged(await house.cell(route, caller, headers, legacy_id), expected[route])
            if found != expected[route]:
                wrong.append(f"{route}, {who}: {found}, not {expected[route]}")
    return wrong


@pytest.mark.parametrize(("home", "stranger"), LIVES)
async def test_apart_D02_Q02_U03_E01_L03_S03_another_users_case_and_an_unknown_one(
    start_proxy: StartProxy, home: Side, stranger: Side
) -> None:
    async with start_proxy(legacy=True) as api:
        house = await living(api, home, stranger)
        own = bearer(house.owner.tokens[home])
        callers: Callers = {
            "unknown id": (house.owner, own, UNKNOWN_ID),
            **{
                who: (person, bearer(person.tokens[stranger]), foreign(home, stranger))
                for who, person in house.strangers.items()
            },
        }
        asked = len(api.sandbox.llamachat.calls)
        assert await differing(house, callers) == []
        assert len(api.sandbox.llamachat.calls) == asked, "a stranger's question reached a conversation"
        assert await differing(house, {"own": (house.owner, own, dict.fromkeys(PATHS, OK))}) == []
        assert house.told == []


async def test_apart_D02_Q02_U03_E01_L03_S03_it_is_the_same_without_a_legacy_server(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy() as api:
        house = await living(api, "new", "new")
        callers: Callers = {
            who: (person, bearer(person.tokens["new"]), foreign("new", "new"))
            for who, person in house.strangers.items()
        }
        own = bearer(house.owner.tokens["new"])
        callers["unknown id"] = (house.owner, own, UNKNOWN_ID)
        assert await differing(house, callers) == []
        assert house.told == []


def unissued(config: SandboxConfig) -> dict[str, str]:
    """Tokens that nobody has been given: one of another making, and what a forger may try."""
    claims = Claims("user1@clinica.example", "user1@clinica.example", "Clínica Norte")
    forged = replace(config, jwt_secret="another-secret-that-is-long-enough-for-hs256")
    return {
        "unknown token": "nobody-was-given-this",
        "a forged token": Tokens(forged, "michiq").issue(claims),
        "an unsigned token": jwt.encode({"sub": claims.user, "exp": 2**32}, "", algorithm="none"),
    }


@pytest.mark.parametrize(("home", "stranger"), LIVES)
async def test_apart_G04_G05_N07_no_token_and_one_that_is_none_are_401_everywhere(
    start_proxy: StartProxy, home: Side, stranger: Side
) -> None:
    config = SandboxConfig()
    async with start_proxy(config=config, legacy=True) as api:
        house = await living(api, home, stranger)
        owner, token = house.owner, house.owner.tokens[home]
        without = {**REFUSED, "new_case": OK}
        callers: Callers = {"no token": (owner, {}, without)}
        for form in NO_TOKEN:
            callers[f"no token, {form!r}"] = (owner, {"Authorization": form}, without)
        for number, form in enumerate(MALFORMED):
            callers[f"malformed {number}"] = (owner, {"Authorization": form.format(token, token)}, REFUSED)
        for who, made in unissued(config).items():
            callers[who] = (owner, bearer(made), REFUSED)
        callers["two tokens"] = (
            owner,
            CIMultiDict([(name, value) for each in (token, token) for name, value in bearer(each).items()]),
            REFUSED,
        )
        assert await differing(house, callers) == []
        assert house.told == []


@pytest.mark.parametrize(("home", "stranger"), LIVES)
async def test_apart_N07_a_token_of_another_makes_no_case(
    start_proxy: StartProxy, home: Side, stranger: Side
) -> None:
    async with start_proxy(legacy=True) as api:
        house = await living(api, home, stranger)
        made = len(api.sandbox.michiq.encounters) + len(api.sandbox.llamalitica.cases)
        wrong = {}
        for who, person in house.strangers.items():
            for mine, yours in ((house.owner, person), (person, house.owner)):
                for token in yours.tokens.values():
                    found = await house.cell("new_case", mine, bearer(token))
                    if found != (401, "Unauthorized"):
                        wrong[f"{mine} by a token of {yours}, {who}"] = found
        assert wrong == {}
        assert len(api.sandbox.michiq.encounters) + len(api.sandbox.llamalitica.cases) == made


@pytest.mark.parametrize(("home", "stranger"), LIVES)
async def test_apart_G04_N07_an_expired_token_is_401_everywhere(
    start_proxy: StartProxy, home: Side, stranger: Side
) -> None:
    clock = Clock()
    async with start_proxy(config=SandboxConfig(clock=clock), legacy=True) as api:
        house = await living(api, home, stranger)
        await moved(api, clock, timedelta(hours=13))
        callers: Callers = {
            who: (person, bearer(token), REFUSED)
            for who, person in {**house.strangers, "owner": house.owner}.items()
            for token in person.tokens.values()
        }
        assert await differing(house, callers) == []
        assert house.told == []


@pytest.mark.parametrize("home", ["new", "legacy"])
async def test_apart_G04_N07_an_expired_token_is_not_made_good_by_a_newer_one_of_the_other_side(
    start_proxy: StartProxy, home: Side
) -> None:
    clock = Clock()
    async with start_proxy(config=SandboxConfig(clock=clock), legacy=True) as api:
        house = await living(api, home, home)
        other: Side = "legacy" if home == "new" else "new"
        await moved(api, clock, timedelta(hours=11.5))
        await everybody_on(api, other)
        await sign_up(api, house.owner, other)
        await moved(api, clock, timedelta(hours=0.75))
        old = house.owner.tokens[home]
        for case in house.owner.cases.values():
            for route in PATHS:
                found = judged(await house.cell(route, house.owner, bearer(old), case), REFUSED[route])
                assert found == REFUSED[route], route
        status, _ = await house.cell("doc", house.owner, bearer(house.owner.tokens[other]))
        assert status == (200 if home == "new" else 401), "the legacy server's own session is over"


async def moved(api: Api, clock: Clock, ahead: timedelta) -> None:
    """The proxy's clock, and the sandbox's."""
    api.clock.ahead += ahead
    clock.ahead += ahead


async def test_apart_U03_S04_two_users_may_keep_audio_under_one_id(start_proxy: StartProxy) -> None:
    """An id that is no case is each user's own: neither hears the other, no transcription is shared."""
    async with start_proxy(legacy=True) as api:
        for home, stranger in LIVES:
            house = await living(api, home, stranger)
            visit = f"visita-{home}-{stranger}"
            people = [house.owner, *house.strangers.values()]
            tokens = [next(iter(each.tokens.values())) for each in people]
            for person, token in zip(people, tokens, strict=True):
                refused = await ask(api, "speech_to_text", visit, bearer(token), person)
                assert refused[0] == 400
                assert (await ask(api, "upload_audio", visit, bearer(token), person))[0] == 200
            for person, token in zip(people, tokens, strict=True):
                status, text = await ask(api, "speech_to_text", visit, bearer(token), person)
                segments = jsons.load_object(text.encode())["segments"]
                assert isinstance(segments, list)
                assert (status, len(segments)) == (200, 1)
                assert person.words["filename"] in text
                assert house.belongings.foreign(person.mail + person.organization, text.encode()) == []
