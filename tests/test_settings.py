import pytest

from quorate.settings import BadSetting, Settings

SECRET = "postgresql://quorate:hunter2-hunter2@db/quorate"


def test_nothing_set_means_every_default() -> None:
    settings = Settings.read({})

    assert (settings.host, settings.port, settings.lanes, settings.signin_per_login) == ("127.0.0.1", 8080, 2, 10)
    assert settings.allow_private_targets is False


def test_the_command_line_wins_over_the_environment() -> None:
    settings = Settings.read({"QUORATE_PORT": "9000", "QUORATE_LANES": "4"}, {"port": 9001, "lanes": None})

    assert (settings.port, settings.lanes) == (9001, 4)


def test_a_blank_variable_counts_as_unset() -> None:
    assert Settings.read({"QUORATE_DATABASE_URL": " "}).database_url is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QUORATE_PORT", "tcp://10.0.0.1:8080"),
        ("QUORATE_PORT", "65536"),
        ("QUORATE_PORT", "²"),
        ("QUORATE_LANES", "0"),
        ("QUORATE_LANES", "-1"),
        ("QUORATE_ALLOW_PRIVATE_TARGETS", "maybe"),
        ("QUORATE_TRUSTED_PROXIES", "10.0.0.0/8, proxy"),
        ("QUORATE_PUBLIC_URL", "keys.acme.example"),
        ("QUORATE_PUBLIC_URL", "https://user@keys.acme.example"),
        ("QUORATE_LOG_FORMAT", "xml"),
        ("QUORATE_SURFACES", "native,nobody"),
        ("QUORATE_SURFACES", ","),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(BadSetting) as refused:
        Settings.read({variable: value})

    assert variable in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_command_line_is_held_to_the_same_bounds() -> None:
    with pytest.raises(BadSetting, match="QUORATE_LANES"):
        Settings.read({}, {"lanes": 1000})


def test_a_secret_is_not_in_the_settings_repr() -> None:
    settings = Settings.read({"QUORATE_DATABASE_URL": SECRET, "QUORATE_SECRET_KEY": "c2VjcmV0"})

    assert "hunter2" not in repr(settings)
    assert "c2VjcmV0" not in repr(settings)


def test_a_misspelt_variable_is_named() -> None:
    assert Settings.unknown({"QUORATE_PROT": "1", "QUORATE_PORT": "1", "PATH": "/bin"}) == ["QUORATE_PROT"]


def test_every_option_says_what_it_means_and_its_default() -> None:
    options = {option.name: option for option in Settings.options()}

    assert all(option.about for option in options.values())
    assert options["port"].default == "8080"
    assert options["signin_per_login"].unit == "per minute"
    assert options["secret_key"].is_secret
