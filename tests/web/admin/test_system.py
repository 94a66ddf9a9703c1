"""GET /admin/v1/system: what an operator sees of processes, store and settings, and what nobody sees."""

from pathlib import Path
from typing import Any, Final

from tests.certificates import make
from tests.conftest import Api, StartProxy, case_form
from tests.rollout.moving import eventually
from tests.web.admin.operators import TOKENS, Operator, said

SECRET: Final = "s3cret-and-long-enough"


async def _system(api: Api) -> dict[str, Any]:
    found = said(await Operator(api.http, api.proxy.admin_url).get("system"))
    assert isinstance(found, dict)
    return found


def _has_reported(found: dict[str, Any]) -> bool:
    about = found["processes"][0]["about"]
    return bool(about and about["connections"])


async def test_processes_store_and_certificate_show(start_proxy: StartProxy, tmp_path: Path) -> None:
    made = make(tmp_path, "served")
    async with start_proxy(watch=True, MICHIQ_ADMIN_TOKENS=TOKENS, **made.settings) as api:
        found = await eventually(lambda: _system(api), _has_reported)
        [process] = found["processes"]
        about = process["about"]
        assert (about["worker"], about["breakers"]["llamalitica"]) == ("worker-1", "closed")
        assert about["memory"] > 1_000_000
        assert about["connections"].keys() == {"clients", "admin"}
        assert process["keys"] == found["keys"]["fingerprints"]
        assert found["keys"]["missing"] is False
        assert found["store"]["bytes"] > 0
        assert found["store"]["blobs"]["count"] == 0
        assert found["certificate_end"] > found["at"]
        assert (found["workers"], found["retention"]) == ({"ready": 1, "of": 1}, "ok")
        (tmp_path / "mappings" / "doc.toml").write_text("mode = 1\n", "utf-8")
        found = await eventually(lambda: _system(api), lambda one: bool(one["mappings"]["rejected"]))
        assert found["mappings"]["rejected"][0].startswith("doc.toml")


async def test_secrets_are_only_set_or_unset_and_nothing_of_a_patient_shows(
    start_proxy: StartProxy, secret_key: str
) -> None:
    environ = {
        "MICHIQ_ADMIN_TOKENS": TOKENS,
        "MICHIQ_TESTER_SECRET": SECRET,
        "MICHIQ_ALERT_URL": f"http://127.0.0.1:9/{SECRET}",
        "MICHIQ_ALERT_SECRET": SECRET,
        "MICHIQ_TEE_URL": f"http://127.0.0.1:9/{SECRET}",
    }
    async with start_proxy(**environ) as api:
        await api.new_case(case_form(ehr='{"nhc": "q-1", "name": "Zacarías"}', conversation="Dolor."))
        found = await Operator(api.http, api.proxy.admin_url).get("system")
        settings = {each["name"]: each["value"] for each in said(found)["settings"]}
        assert settings["MICHIQ_TESTER_SECRET"] == settings["MICHIQ_SECRET_KEYS"] == "set"
        assert settings["MICHIQ_ALERT_URL"] == settings["MICHIQ_TEE_URL"] == "http://127.0.0.1:9/…"
        assert settings["MICHIQ_ADMIN_TOKENS"] == "ana:set,ben:set"
        hidden = (
            SECRET,
            secret_key,
            *(each.split(":", 1)[1] for each in TOKENS.split(",")),
            "Zacar",
            "Dolor",
        )
        assert [word for word in hidden if word in found.answer.body.decode()] == []
