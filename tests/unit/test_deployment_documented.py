"""docs/deployment.md shows a proxy that tells the portal the truth about who asks."""

from tests.conftest import ROOT


def test_the_proxy_of_the_guide_overwrites_what_clients_say_of_themselves() -> None:
    guide = (ROOT / "docs" / "deployment.md").read_text()
    [example] = [block for block in guide.split("```") if block.lstrip().startswith("# nginx")]
    for header, value in (
        ("Host", "$http_host"),
        ("X-Forwarded-For", "$remote_addr"),
        ("X-Forwarded-Proto", "$scheme"),
        ("X-Forwarded-Host", '""'),
    ):
        assert f"proxy_set_header {header} {value};" in " ".join(example.split()), header
