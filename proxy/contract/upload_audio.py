"""Checks U: POST /michiQ/uploadAudio/{id}."""

from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, Writes, chosen, documented, proxys_own, unseen
from proxy.contract.probe import Case, Probe
from proxy.contract.reply import Reply
from proxy.contract.routes import SPEECH_TO_TEXT, UPLOAD_AUDIO
from proxy.contract.samples import BOUNDARY, MULTIPART, Part, audio, form, tone

# The document's own sample: its delimiters lack the two dashes before the boundary.
_SAMPLE: Final = audio(tone(1, 400)).replace(f"--{BOUNDARY}".encode(), BOUNDARY.encode())
_BAD_FORMS: Final = {
    "there is no `audioChunk`": form(Part("audio", tone(1, 400), "consulta.wav", "audio/wav")),
    "the file is empty": audio(b""),
    "the form has no parts": form(),
    "the form is cut": audio(tone(1, 400))[:500],
    "the delimiters are those of the document's sample": _SAMPLE,
    "there is no body": b"",
}


async def upload(probe: Probe, case: Case, body: bytes, legacy_id: str | None = None) -> Reply:
    path = UPLOAD_AUDIO.path(case.id if legacy_id is None else legacy_id)
    return await probe.ask(UPLOAD_AUDIO.method, path, token=case.token, body=body)


@documented(
    "U01", UPLOAD_AUDIO, "an upload is answered with the sentence that names its id", Writes(recordings=1)
)
async def uploaded(probe: Probe) -> None:
    case = await probe.main()
    reply = await upload(probe, case, audio(tone(1, 400)))
    expect.text(reply, 200, f"Archivo subido exitosamente con UUID: {case.id}")


@documented("U02", UPLOAD_AUDIO, "no file, an empty one or a broken form is answered 400", SHARED)
async def bad_form(probe: Probe) -> None:
    case = await probe.main()
    for when, body in _BAD_FORMS.items():
        lines: list[tuple[str, bytes | str]] = [
            ("Authorization", f"Bearer {case.token}"),
            ("Content-Type", MULTIPART),
        ]
        reply = await probe.raw(UPLOAD_AUDIO.method, UPLOAD_AUDIO.path(case.id), lines, body)
        expect.text(reply, 400, when=when)


@chosen("U03", UPLOAD_AUDIO, "an id that is no case is taken, in the caller's own name", Writes(recordings=1))
async def unknown_id(probe: Probe) -> None:
    case = await probe.main()
    # Each run has its own id, so that the chunks of several runs don't add up.
    own = f"p-{case.id}"[:64]
    reply = await upload(probe, case, audio(tone(1, 400)), own)
    expect.text(reply, 200, f"Archivo subido exitosamente con UUID: {own}")


@documented("U03", UPLOAD_AUDIO, "another user's case takes no audio", SHARED)
async def foreign_refused(probe: Probe) -> None:
    foreign = await probe.foreign()
    reply = await upload(probe, await probe.main(), audio(tone(1, 400)), foreign.id)
    expect.true(400 <= reply.status < 500, "a refusal", reply.described())


@chosen("U03", UPLOAD_AUDIO, "another user's case is answered 401", SHARED)
async def foreign_id(probe: Probe) -> None:
    foreign = await probe.foreign()
    reply = await upload(probe, await probe.main(), audio(tone(1, 400)), foreign.id)
    expect.text(reply, 401, "Authorization token missing or invalid")


@chosen(
    "U04",
    UPLOAD_AUDIO,
    "chunks make one recording; one that is sent again makes no copy",
    Writes(recordings=1),
)
async def chunks(probe: Probe) -> None:
    case = await probe.main()
    own, whole = f"c-{case.id}"[:64], tone(2, 500)
    middle = len(whole) // 2
    for chunk in (whole[:middle], whole[middle:], whole[middle:]):
        expect.status(await upload(probe, case, audio(chunk), own), 200)
    reply = await probe.ask(SPEECH_TO_TEXT.method, SPEECH_TO_TEXT.path(own), token=case.token)
    answer = expect.json_object(reply)
    expect.same(answer.get("audioFiles"), ["consulta.wav"], "`audioFiles`")
    expect.same(answer.get("totalSpeechTextTime"), "00:00:02", "`totalSpeechTextTime`")


@proxys_own("U05", UPLOAD_AUDIO, "a recording of 200 MB is answered 413 before it is sent", SHARED)
async def too_large(probe: Probe) -> None:
    case = await probe.main()
    lines: list[tuple[str, bytes | str]] = [
        ("Authorization", f"Bearer {case.token}"),
        ("Content-Type", MULTIPART),
        ("Content-Length", "200000000"),
    ]
    reply = await probe.raw(UPLOAD_AUDIO.method, UPLOAD_AUDIO.path(case.id), lines)
    expect.text(reply, 413)


CHECKS: Final = (
    uploaded,
    bad_form,
    unknown_id,
    foreign_refused,
    foreign_id,
    chunks,
    too_large,
    unseen(
        "U06",
        UPLOAD_AUDIO,
        "audio at rest is encrypted and removed after its time",
        "a client doesn't see the disk",
    ),
)
