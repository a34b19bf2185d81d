//! The tables of package repositories and of gitlab-runner as a package. Data only.

use super::{LOCAL_PATH, STATE, word};
use crate::inventory::format::Format;
use crate::inventory::schema::{Choice, Field, Kind, Table};

const REPOSITORY_NAME: Kind = Kind::Text(Format::FileName);
const REPOSITORY_URIS: Field = Field::new(
    "uris",
    Kind::OneOrList(&Kind::Text(Format::RepositoryUri)),
    "addresses; {os} in them stands for debian or ubuntu, as the host is",
);
const REPOSITORY_SUITES: Field = Field::new(
    "suites",
    Kind::OneOrList(&Kind::Text(Format::Suite)),
    "releases of the repository; default the host's codename, such as bookworm",
);
const REPOSITORY_COMPONENTS: Field =
    Field::new("components", Kind::OneOrList(&Kind::Text(Format::Suite)), "parts of it; default main");
const REPOSITORY_ARCHITECTURES: Field =
    Field::new("architectures", Kind::OneOrList(&Kind::Text(Format::Suite)), "such as amd64; default the host's own");
const REPOSITORY_KEY_FILE: Field =
    Field::new("key_file", LOCAL_PATH, "file of the key that signs it, armored or binary, relative to the inventory");
const REPOSITORY_KEY_URL: Field =
    Field::new("key_url", Kind::Text(Format::WebUrl), "where rprov fetches the key for hosts that lack it");
const REPOSITORY_FINGERPRINT: Field = Field::new(
    "fingerprint",
    Kind::Text(Format::Fingerprint),
    "of the key at `key_url`: 40 hexadecimal digits; another key is refused",
);
const REPOSITORY_PIN: Field = Field::new("pin", Kind::Table(&PIN), "which of its packages apt prefers or avoids");
const KEY_CHOICE: Choice = Choice { of: &["key_file", "key_url"], required: false };

pub(super) static REPOSITORY: Table = Table {
    title: "a repository",
    fields: &[
        Field::required("name", REPOSITORY_NAME, "names its files on the host"),
        REPOSITORY_URIS,
        REPOSITORY_SUITES,
        REPOSITORY_COMPONENTS,
        REPOSITORY_ARCHITECTURES,
        REPOSITORY_KEY_FILE,
        REPOSITORY_KEY_URL,
        REPOSITORY_FINGERPRINT,
        REPOSITORY_PIN,
        Field::new("state", STATE, "absent removes it; default present"),
    ],
    choices: &[KEY_CHOICE],
};

/// The repository of a vendor, whose address and key are known.
pub(super) static VENDOR_REPOSITORY: Table = Table {
    title: "a vendor's repository",
    fields: &[
        Field::new(
            "use",
            Kind::Word(&[word("default"), word("none")]),
            "default: the vendor's own, but for the keys given here; none: whatever the host has",
        ),
        REPOSITORY_URIS,
        REPOSITORY_SUITES,
        REPOSITORY_COMPONENTS,
        REPOSITORY_ARCHITECTURES,
        REPOSITORY_KEY_FILE,
        REPOSITORY_KEY_URL,
        REPOSITORY_FINGERPRINT,
        REPOSITORY_PIN,
    ],
    choices: &[KEY_CHOICE],
};

static PIN: Table = Table {
    title: "`pin`",
    fields: &[
        Field::required("priority", Kind::Integer(-32768, 32767), "apt's priority; above 1000 even downgrades"),
        Field::new(
            "origin",
            Kind::Text(Format::Address),
            "host name of the repository; default that of its first address",
        ),
        Field::new("label", Kind::Text(Format::Line(100)), "label of the repository, instead of its host name"),
        Field::new(
            "packages",
            Kind::OneOrList(&Kind::Text(Format::PackagePattern)),
            "package names or patterns; default *",
        ),
    ],
    choices: &[Choice { of: &["origin", "label"], required: false }],
};

pub(super) static MANAGER_PACKAGE: Table = Table {
    title: "`manager.package`",
    fields: &[
        Field::required("version", Kind::Text(Format::RunnerVersion), "version of GitLab Runner, such as 17.9.0"),
        Field::new(
            "repository",
            Kind::ShortOr(&VENDOR_REPOSITORY),
            "where the package comes from; default packages.gitlab.com",
        ),
        Field::new("pin", Kind::Boolean, "held at this version, also against `apt upgrade`; default true"),
        Field::new(
            "docker_group",
            Kind::Boolean,
            "jobs of the shell executor may use Docker, which makes them root; default false, which leaves the group alone",
        ),
        Field::new(
            "stop_timeout",
            Kind::Text(Format::Duration(1, 7 * 86400)),
            "time that running jobs have to end when the service is stopped; default 2h",
        ),
    ],
    choices: &[],
};
