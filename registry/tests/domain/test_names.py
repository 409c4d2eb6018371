import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain import names
from registry.errors import Invalid


@pytest.mark.parametrize("name", ["a", "Z9", "churn", "churn-v2", "a.b_c-d", "0", "a" * 128])
def test_good_model_names_are_kept_as_they_are(name):
    assert names.model_name(name) == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "missing"),
        (None, "missing"),
        (7, "must be text"),
        ("-a", "cannot name a model"),
        ("a.", "cannot name a model"),
        ("a b", "holds ' '"),
        ("a/b", "holds '/'"),
        ("..", "cannot name a model"),
        ("módel", r"holds '\\xf3'"),
        ("a\n", r"holds '\\n'"),
        ("a\x00b", r"holds '\\x00'"),
        ("a" * 129, "129 characters"),
        ("<script>", "holds '<'"),
    ],
)
def test_a_bad_model_name_is_refused_with_what_is_wrong_and_how_to_mend_it(name, told):
    with pytest.raises(Invalid, match=told) as caught:
        names.model_name(name)
    assert caught.value.field == "name"
    if told not in {"missing", "must be text"}:
        assert "letters, digits" in caught.value.hint


@given(st.text(max_size=140))
def test_every_accepted_name_is_safe_in_a_path_and_a_url(text):
    try:
        name = names.model_name(text)
    except Invalid:
        return
    assert name.isascii() and not set(name) & set("/\\:%?#&\"' \n\x00") and name not in {".", ".."}


@pytest.mark.parametrize("name", ["latest", "LATEST", "3", "v3", "V12"])
def test_names_that_already_mean_a_version_are_no_aliases(name):
    with pytest.raises(Invalid, match="reserved"):
        names.alias_name(name)


@pytest.mark.parametrize("label", ["", "1.0.0", "v2.3.4", "1.0.0-rc.1", "1.0.0+build.5", "10.20.30-a.b-c+d"])
def test_semantic_versions_are_labels(label):
    assert names.version_label(label) == label


@pytest.mark.parametrize("label", ["1", "1.0", "01.0.0", "1.0.0-", "one", "1.0.0-01", "1.0.0 beta"])
def test_other_labels_are_refused(label):
    with pytest.raises(Invalid, match="not a semantic version"):
        names.version_label(label)


@pytest.mark.parametrize("value", [1, "1", "03", 999_999_999])
def test_version_numbers_are_read_from_numbers_and_texts(value):
    assert names.version_number(value) == int(value)


@pytest.mark.parametrize("value", [0, -1, "x", "1.5", 1.5, True, None, "١", "9" * 30, ""])
def test_what_is_no_version_number_is_refused(value):
    with pytest.raises(Invalid, match="not a version number"):
        names.version_number(value)


def test_a_digest_that_could_be_a_path_is_refused():
    for bad in ("sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "a" * 32, "a" * 64):
        with pytest.raises(Invalid):
            names.digest(bad)
    assert names.digest("sha256:" + "a" * 64)
