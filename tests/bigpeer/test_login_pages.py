"""Pages that people open: logins, roles, forms that count only from our own pages, the audit log."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import identity_provider
import pytest
from bigpeer_harness import STATUS, Local
from identity_provider import Running
from test_access_http import farm_at
from test_pages import fill

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.auth.accounts import User
from hedgerow_bigpeer.auth.ledger import Issued
from hedgerow_bigpeer.config import BigPeerConfig
from hedgerow_bigpeer.pages.visitor import Visitors

PASSWORD = "a good password"
HOST = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def idp() -> Iterator[Running]:
    with identity_provider.running() as running:
        yield running


def farm_with_people(directory: Path) -> Local:
    """A production app where somebody of each role may log in, by the role's name."""
    running = farm_at(directory)
    for role in ("viewer", "operator", "admin"):
        manage.create_user(running.peer.registry, "test", role, role, PASSWORD)
    return running


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Local]:
    running = farm_with_people(tmp_path)
    yield running
    running.close()


class Browser:
    """A browser as far as it matters here: cookies by path, and forms."""

    def __init__(self, served: Local) -> None:
        self._served = served
        self.cookies: dict[str, tuple[str, str]] = {}

    def open(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        sent = [f"{name}={value}" for name, (value, place) in self.cookies.items() if path.startswith(place)]
        all_headers = {"cookie": "; ".join(sent), **headers} if sent else dict(headers)
        options: dict[str, Any] = {} if fields is None else {"data": fields}
        # The client's own jar would give one browser's cookies to another.
        self._served.forget_cookies()
        method = "GET" if fields is None else "POST"
        response = self._served.request(method, path, headers=all_headers, **options)
        for line in response.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0]
            place = re.search(r"Path=([^;]+)", line)
            self.cookies[name] = (value, place[1] if place else "/")
        return response

    def form_of(self, path: str) -> str:
        found = re.search(r'name="form" value="([^"]+)"', self.open(path).text)
        assert found
        return found[1]

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        fields = {"form": self.form_of("/login"), "name": name, "password": password}
        return self.open("/login", fields)


def entered(farm: Local, name: str) -> Browser:
    browser = Browser(farm)
    assert browser.log_in(name).status_code == 200
    return browser


def test_pages_want_a_login(farm: Local) -> None:
    for path in ("/", "/access", "/audit"):
        response = Browser(farm).open(path)
        assert (response.status_code, response.headers["location"]) == (303, "/login"), path
    for path in (STATUS, "/metrics"):
        assert Browser(farm).open(path).json()["error"]["code"] == "AUTH_MISSING"


def test_logging_in_and_out(farm: Local) -> None:
    browser = Browser(farm)
    response = browser.log_in("viewer")
    (line,) = [line for line in response.headers.get_list("set-cookie") if line.startswith("hedgerow=")]
    assert "HttpOnly" in line and "SameSite=strict" in line and "Path=/" in line and "Domain" not in line
    page = browser.open("/")
    assert page.status_code == 200 and "log out viewer" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert not re.search(r'<script(?! src="/static/)', page.text) and " style=" not in page.text
    assert browser.open(STATUS).status_code == 200 == browser.open("/metrics").status_code
    kept = dict(browser.cookies)
    assert browser.open("/logout", {"form": browser.form_of("/")}).status_code == 303
    browser.cookies = kept
    assert browser.open("/").status_code == 303, "the cookie still opens pages"


def test_a_wrong_password(farm: Local) -> None:
    for name, password in (("viewer", "not this one"), ("nobody", PASSWORD), ("", "")):
        browser = Browser(farm)
        response = browser.log_in(name, password)
        assert response.status_code == 401 and "wrong" in response.text and "hedgerow" not in browser.cookies
    entry = farm.peer.registry.audit.newest(1)[0]
    assert (entry.actor, entry.action, entry.subject) == ("address:127.0.0.1", "login.fail", "unknown")
    Browser(farm).log_in("viewer", "x")
    assert farm.peer.registry.audit.newest(1)[0].subject == "viewer"
    Browser(farm).log_in(PASSWORD, "viewer")
    assert PASSWORD not in str(farm.peer.registry.audit.newest(9))


def test_guessing_is_slow(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRONG_PASSWORDS", 3)
    browser = Browser(farm)
    statuses = [browser.log_in("viewer", "wrong").status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert browser.log_in("viewer").status_code == 429, "the right one opens all the same"
    assert browser.log_in("admin").status_code == 200
    monkeypatch.setattr(limits, "WRONG_PASSWORDS_SECONDS", 0.0)
    assert browser.log_in("viewer").status_code == 200


def test_guessing_at_once_is_as_slow(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRONG_PASSWORDS", 3)
    accounts, looked = farm.peer.registry.accounts, []

    def check(name: str, password: str) -> User:
        looked.append(password)
        time.sleep(0.02)
        if password == "broken":
            raise HedgerowError("REGISTRY_FAILED")
        if password != PASSWORD:
            raise HedgerowError("LOGIN_FAILED")
        return User(name, "viewer", 0)

    monkeypatch.setattr(accounts, "check", check)
    browser = Browser(farm)
    form = browser.form_of("/login")
    cookie = f"hedgerow-form={browser.cookies['hedgerow-form'][0]}"

    def tries(*passwords: str) -> list[int]:
        async def together() -> list[int]:
            fields = [{"form": form, "name": "viewer", "password": password} for password in passwords]
            sent = [farm.send("/login", data, cookie=cookie) for data in fields]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

        farm.forget_cookies()
        return farm.run(together())

    assert tries(*[PASSWORD] * 8) == [200] * 8, "who is right is not late"
    assert tries(*["broken"] * 8) == [401] * 8, "nobody was wrong"
    looked.clear()
    assert sorted(tries(*["wrong"] * 11, PASSWORD)) == [401] * 3 + [429] * 9
    assert looked == ["wrong"] * 3


def test_the_login_form_counts_only_from_its_own_page(farm: Local) -> None:
    fields = {"name": "viewer", "password": PASSWORD}
    browser = Browser(farm)
    form = browser.form_of("/login")
    assert browser.open("/login", fields).status_code == 403
    assert browser.open("/login", {**fields, "form": form + "x"}).status_code == 403
    assert Browser(farm).open("/login", {**fields, "form": form}).status_code == 403
    assert browser.open("/login", {**fields, "form": form}, origin="http://localhost:99").status_code == 403
    assert browser.open("/login", {**fields, "form": form}, origin=HOST).status_code == 200


FORMS = [
    ("/access/keys", {"name": "x", "days": "3", "verb-read": "on"}, "operator"),
    ("/access/keys/revoke", {"key": "KEY"}, "operator"),
    ("/access/credentials/revoke", {"number": "3132333435363738"}, "operator"),
    ("/access/users", {"name": "new", "role": "viewer", "password": PASSWORD}, "admin"),
    ("/access/users/remove", {"name": "viewer"}, "admin"),
    ("/logout", {"more": ""}, "viewer"),
]


def prepare(farm: Local, fields: dict[str, str]) -> dict[str, str]:
    """Make what a form is about."""
    registry, app = farm.peer.registry, farm.peer.app
    if registry.ledger.find(app, b"12345678") is None:
        registry.ledger.add(Issued(b"12345678", app.id, "ann", "x", b"", b"", None, 1, 2, 1, None, None, b""))
    if "key" not in fields:
        return fields
    return {"key": manage.create_key(registry, "test", app.id, {"name": "x", "verbs": ["read"]})["id"]}


@pytest.mark.parametrize("path, fields, role", FORMS)
def test_forms_count_only_from_pages_of_the_login(
    farm: Local, path: str, fields: dict[str, str], role: str
) -> None:
    fields = prepare(farm, fields)
    browser, other = entered(farm, "admin"), entered(farm, "admin")
    before = farm.peer.registry.audit.newest(1)[0].id
    wrong = [fields, {**fields, "form": ""}, {**fields, "form": "x"}, {**fields, "form": other.form_of("/")}]
    for sent in wrong:
        assert browser.open(path, sent).status_code == 403
    form = {**fields, "form": browser.form_of("/")}
    assert browser.open(path, form, origin="http://127.0.0.1:9").status_code == 403
    assert Browser(farm).open(path, form).status_code == 303, "a form without a cookie"
    assert farm.peer.registry.audit.newest(1)[0].id == before
    assert browser.open(path, form, origin=HOST).status_code in (200, 303)
    assert farm.peer.registry.audit.newest(1)[0].id > before


@pytest.mark.parametrize("path, fields, role", FORMS)
def test_roles(farm: Local, path: str, fields: dict[str, str], role: str) -> None:
    fields = prepare(farm, fields)
    roles = ("viewer", "operator", "admin")
    for name in roles:
        browser = entered(farm, name)
        may = roles.index(name) >= roles.index(role)
        assert browser.open("/access").status_code == (200 if name != "viewer" else 403)
        assert browser.open("/audit").status_code == (200 if name != "viewer" else 403)
        sent = {**fields, "form": browser.form_of("/")}
        assert (browser.open(path, sent).status_code != 403) == may, (name, path)
        if may:
            break


def test_a_key_is_shown_once_on_the_page(farm: Local) -> None:
    browser = entered(farm, "operator")
    fields = {
        "form": browser.form_of("/"),
        "name": "grafana",
        "days": "3",
        "verb-read": "on",
        "collections": "cars",
    }
    page = browser.open("/access/keys", fields)
    (text,) = re.findall(r"hgk_[0-9a-f]{12}_[\w-]+", page.text)
    assert page.headers["cache-control"] == "no-store"
    headers = {"authorization": f"Bearer {text}"}
    assert farm.execute("SELECT * FROM cars", **headers).status_code == 200
    assert farm.execute("SELECT * FROM boats", **headers).status_code == 403
    again = browser.open("/access").text
    assert text not in again and "grafana" in again and "read cars" in again


def test_an_operator_makes_no_key_that_may_more(farm: Local) -> None:
    browser = entered(farm, "operator")
    fields = {"form": browser.form_of("/"), "name": "x", "days": "3", "verb-read": "on", "verb-admin": "on"}
    browser.open("/access/keys", fields)
    (key,) = manage.list_keys(farm.peer.registry, "farm")
    assert key["verbs"] == ["read"]


def test_what_people_wrote_is_shown_as_text(farm: Local) -> None:
    farm.peer.registry.audit.add("<b>x", "y", "<i>z", more="<script>")
    page = entered(farm, "operator").open("/audit").text
    assert "<b>x" not in page and "<script>" not in page and "&lt;b&gt;x" in page


def test_senseless_forms(farm: Local) -> None:
    browser = entered(farm, "admin")
    form = browser.form_of("/")
    for path, fields in (
        ("/access/keys", {"name": "x", "days": "many", "verb-read": "on"}),
        ("/access/keys", {"name": "x", "days": "400", "verb-read": "on"}),
        ("/access/keys", {"name": "x", "days": "4"}),
        ("/access/users", {"name": "x", "role": "king", "password": PASSWORD}),
        ("/access/credentials/revoke", {"number": "zz"}),
        ("/access/users", {"name": "x" * 5000}),
    ):
        assert browser.open(path, {**fields, "form": form}).status_code in (400, 403, 413), path
    assert browser.open("/audit?before=x").status_code == 200


def test_the_overview_shows_readings_to_whom_the_api_answers(tmp_path: Path) -> None:
    running = farm_at(tmp_path)
    fill(running)
    page = running.request("GET", "/")
    assert page.status_code == 200 and "users add" in page.text
    assert "<polyline" not in page.text and "data-plot" not in page.text and "temperature" not in page.text
    manage.create_user(running.peer.registry, "test", "viewer", "viewer", PASSWORD)
    assert "<polyline" in entered(running, "viewer").open("/").text
    running.close()


def test_pages_off_loopback_want_a_login_to_be_there(tmp_path: Path) -> None:
    running = farm_at(tmp_path)
    assert running.request("GET", "/").status_code == 200
    assert running.request("GET", "/access").status_code == 403
    peer = running.peer
    config = BigPeerConfig(data=tmp_path, app="farm", mesh="farm", host="0.0.0.0", plain=True)
    peer.visitors = Visitors(config, peer.registry, peer.app, peer.gate, peer.door)
    assert running.request("GET", "/").status_code == 403
    assert "users add" in running.request("GET", "/").text
    manage.create_user(peer.registry, "test", "ann", "viewer", PASSWORD)
    assert running.request("GET", "/").status_code == 303
    assert peer.visitors.is_secure and peer.visitors.cookie.startswith("__Host-")
    running.close()


# ---- OpenID Connect


def set_login(farm: Local, idp: Running, **more: Any) -> None:
    settings = {
        "type": "oidc",
        "issuer": idp.url,
        "audience": identity_provider.AUDIENCE,
        "allowPrivate": True,
        "clientId": identity_provider.CLIENT,
        "clientSecret": identity_provider.CLIENT_SECRET,
        "roleClaim": "hedgerow_role",
        **more,
    }
    manage.set_provider(farm.peer.registry, "test", "farm", "login", settings)


def away(browser: Browser) -> str:
    """Begin a login by the provider, let that log in whoever comes, and return where it sends the browser."""
    assert "log in with login" in browser.open("/login").text
    page = browser.open("/login/provider", {"provider": "login"})
    (target,) = re.findall(r'<a href="([^"]+)">Go on to', page.text)
    response = httpx.get(target.replace("&amp;", "&"), timeout=60)
    back = urlsplit(response.headers["location"])
    assert f"{back.scheme}://{back.netloc}" == HOST
    return f"{back.path}?{back.query}"


def test_logging_in_by_openid_connect(farm: Local, idp: Running) -> None:
    set_login(farm, idp)
    browser = Browser(farm)
    assert browser.open(away(browser)).status_code == 200
    page = browser.open("/access")
    assert page.status_code == 200 and "log out login:olga" in page.text
    entry = farm.peer.registry.audit.newest(1, action="login")[0]
    assert (entry.actor, entry.detail) == ("user:login:olga", {"by": "login", "role": "operator"})


def test_a_login_begun_elsewhere_is_not_finished_here(farm: Local, idp: Running) -> None:
    set_login(farm, idp)
    victim, attacker = Browser(farm), Browser(farm)
    stolen = away(attacker)
    assert victim.open(stolen).status_code == 403, "no state of this browser"
    away(victim)
    assert victim.open(stolen).status_code == 403, "the state of another login"
    back = away(victim)
    assert victim.open(back.replace("state=", "state=x")).status_code == 403
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    own = parse_qs(urlsplit(back).query)
    # Another's code with one's own state: the proof key of the code does not fit.
    assert victim.open(f"/login/callback?code={code}&state={own['state'][0]}").status_code == 401
    assert victim.open("/login/callback").status_code == 403
    assert "hedgerow" not in victim.cookies


def test_a_code_is_good_once(farm: Local, idp: Running) -> None:
    set_login(farm, idp)
    browser = Browser(farm)
    back = away(browser)
    kept = dict(browser.cookies)
    assert browser.open(back).status_code == 200
    browser.cookies = kept
    assert browser.open(back).status_code == 401


def test_the_word_about_another_login_is_refused(farm: Local, idp: Running) -> None:
    set_login(farm, idp)
    browser = Browser(farm)
    idp.confuse()
    assert browser.open(away(browser)).status_code == 401 and "hedgerow" not in browser.cookies
    assert browser.open(away(browser)).status_code == 200


def test_who_has_no_role_at_the_provider_has_none_here(farm: Local, idp: Running) -> None:
    set_login(farm, idp, roleClaim="another")
    browser = Browser(farm)
    assert browser.open(away(browser)).status_code == 403 and "hedgerow" not in browser.cookies
    set_login(farm, idp, roleClaim="another", role="viewer")
    assert browser.open(away(browser)).status_code == 200


def test_a_provider_for_peers_is_none_for_pages(farm: Local, idp: Running) -> None:
    settings = {"type": "oidc", "issuer": idp.url, "audience": "x", "allowPrivate": True}
    manage.set_provider(farm.peer.registry, "test", "farm", "peers", settings)
    browser = Browser(farm)
    assert "peers" not in browser.open("/login").text
    assert browser.open("/login/provider", {"provider": "peers"}).status_code == 404
