"""nginx or HAProxy in front of the real proxy: a legacy client is answered as if nothing stood between."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import IDENTITY, Api, case_form
from tests.docker.conftest import Nginx, RunNginx


@pytest.fixture
async def front(run_balancer: RunNginx, api: Api) -> AsyncIterator[Nginx]:
    async with run_balancer(api.url.removeprefix("http://")) as running:
        yield running


@pytest.fixture
async def nginx_front(run_nginx: RunNginx, api: Api) -> AsyncIterator[Nginx]:
    async with run_nginx(api.url.removeprefix("http://")) as running:
        yield running


async def test_balancer_N02_a_case_is_made_for_the_user_and_organization_of_the_headers(
    front: Nginx, api: Api
) -> None:
    async with api.http.post(f"{front.url}/michiQ/newCase", data=case_form(), headers=IDENTITY) as answer:
        assert answer.status == 200, await answer.text()
        case_id = (await answer.json())["michiq_uuid"]
    case = api.sandbox.llamalitica.cases[case_id]
    assert case.user.email == IDENTITY["user_mail"]
    assert case.organization_header == IDENTITY["organization"].encode()


async def test_balancer_G09_a_header_line_of_60_KB_arrives(front: Nginx, api: Api) -> None:
    headers = {**IDENTITY, "Cookie": "c" * 60_000}
    async with api.http.post(f"{front.url}/michiQ/newCase", data=case_form(), headers=headers) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize("expects", [True, False])
async def test_nginx_N15_the_refusal_of_a_body_over_the_limit_reaches_the_client(
    expects: bool, nginx_front: Nginx, api: Api
) -> None:
    """The proxy answers before the body has all arrived."""
    form = case_form(conversation="x" * (40 << 20))
    async with api.http.post(
        f"{nginx_front.url}/michiQ/newCase", data=form, headers=IDENTITY, expect100=expects
    ) as answer:
        assert answer.status == 413
        assert answer.content_type == "text/plain"
