"""Checks S: POST /michiQ/speechToText/{id}."""

import re
from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, Writes, chosen, documented
from proxy.contract.probe import Case, Probe
from proxy.contract.reply import Reply
from proxy.contract.routes import SPEECH_TO_TEXT
from proxy.contract.samples import BARE, audio, tone
from proxy.contract.upload_audio import upload
from proxy.contract.verdicts import NotApplicable
from proxy.jsons import dump

_LENGTH: Final = "00:00:01"


async def _transcribe(probe: Probe, case: Case, legacy_id: str, body: bytes | None = None) -> Reply:
    path = SPEECH_TO_TEXT.path(legacy_id)
    return await probe.ask(
        SPEECH_TO_TEXT.method, path, token=case.token, body=body, content_type="application/json"
    )


async def _recorded(probe: Probe, prefix: str, *names: str) -> tuple[Case, str]:
    """Returns the case, and an id of this run alone under which these files were uploaded."""
    case = await probe.main()
    own = f"{prefix}-{case.id}"[:64]
    for number, name in enumerate(names):
        expect.status(await upload(probe, case, audio(tone(1, 400 + 100 * number), name), own), 200)
    return case, own


@documented(
    "S01",
    SPEECH_TO_TEXT,
    "audio is answered with its transcription and its time, hh:mm:ss",
    Writes(recordings=1),
)
async def transcribed(probe: Probe) -> None:
    case, own = await _recorded(probe, "s", "consulta.wav")
    answer = expect.json_object(await _transcribe(probe, case, own, dump({"audioFile": "ruta/consulta.wav"})))
    expect.kinds(answer, {"transcription": expect.STRING, "totalSpeechTextTime": expect.STRING})
    time = str(answer["totalSpeechTextTime"])
    expect.true(bool(re.fullmatch(r"\d\d+:[0-5]\d:[0-5]\d", time)), "hh:mm:ss", "a string of another form")


@chosen(
    "S01", SPEECH_TO_TEXT, "the time is the audio's own length; ids and files are named", Writes(recordings=1)
)
async def measured(probe: Probe) -> None:
    case, own = await _recorded(probe, "m", "consulta.wav")
    answer = expect.json_object(await _transcribe(probe, case, own))
    expect.same(answer.get("totalSpeechTextTime"), _LENGTH, "`totalSpeechTextTime`")
    expect.same(answer.get("michiq_uuid"), own, "`michiq_uuid`")
    expect.same(answer.get("audioFiles"), ["consulta.wav"], "`audioFiles`")
    expect.true(isinstance(answer.get("segments"), list), "`segments`", expect.keys_of(answer))


@chosen(
    "S02",
    SPEECH_TO_TEXT,
    "`audioFile` picks a recording by its last name, and opens nothing",
    Writes(recordings=2),
)
async def labelled(probe: Probe) -> None:
    both = ["primera.wav", "segunda.wav"]
    case, own = await _recorded(probe, "l", *both)
    for label, picked in {
        "ruta/al/archivo/segunda.wav": both[1:],
        "C:\\audios\\primera.wav": both[:1],
        "../../etc/passwd": both,
        "file:///etc/passwd": both,
    }.items():
        reply = await _transcribe(probe, case, own, dump({"audioFile": label}))
        expect.same(expect.json_object(reply).get("audioFiles"), [*picked], f"for {label}, `audioFiles`")
    everything = expect.json_object(await _transcribe(probe, case, own))
    expect.same(everything.get("audioFiles"), [*both], "without a body, `audioFiles`")


@documented("S03", SPEECH_TO_TEXT, "an id without audio is answered 400", SHARED)
async def no_audio(probe: Probe) -> None:
    case = await probe.bare()
    expect.text(await _transcribe(probe, case, case.id), 400)


@chosen("S03", SPEECH_TO_TEXT, "a body that is no JSON object is answered 400", Writes(recordings=1))
async def bad_body(probe: Probe) -> None:
    case, own = await _recorded(probe, "b", "consulta.wav")
    for body in (b"{", b"[]", b'{"audioFile": 1}'):
        expect.text(await _transcribe(probe, case, own, body), 400)


@chosen("S04", SPEECH_TO_TEXT, "a repeated call gives the same answer", Writes(recordings=1))
async def repeated(probe: Probe) -> None:
    case, own = await _recorded(probe, "r", "consulta.wav")
    first, second = [expect.json_object(await _transcribe(probe, case, own)) for _ in range(2)]
    expect.true(first == second, "the first answer", "another one")


@chosen(
    "S05", SPEECH_TO_TEXT, "the transcription joins the case's conversation", Writes(cases=2, recordings=1)
)
async def joined(probe: Probe) -> None:
    # The second case is the linked one that a michiq-proxy makes from the audio on the new platform.
    case = await probe.make(BARE)
    expect.status(await upload(probe, case, audio(tone(1, 400))), 200)
    said = expect.json_object(await _transcribe(probe, case, case.id)).get("transcription")
    if not said:
        raise NotApplicable("the host transcribed the synthetic recording as silence")
    given = expect.mapping((await probe.encounter(case)).get("Input"), "`Input`")
    expect.true(
        str(said) in str(given.get("conversation")),
        "the transcription in the conversation of the encounter",
        "a conversation without it",
    )


CHECKS: Final = (transcribed, measured, labelled, no_audio, bad_body, repeated, joined)
