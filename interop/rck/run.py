"""Runs Apache Iceberg's compatibility kit for REST catalogs against a server, and
compares what fails with expected.txt: a test that is listed and passes fails the
run as well, so that the list is what is true."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import trine  # noqa: E402


def expected():
    """The names that do not pass, with the reason of each."""
    listed, reason = {}, None
    with open(os.path.join(HERE, "expected.txt"), encoding="utf-8") as lines:
        for line in lines:
            line = line.rstrip()
            if line.startswith("# "):
                reason = line[2:]
            elif line:
                listed[line] = reason
    return listed


def results(target):
    """Which tests passed, by name; one with parameters passes if all of them do."""
    passed = {}
    for path in glob.glob(os.path.join(target, "surefire-reports", "*.xml")):
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            name = case.get("name").split("(")[0].split("[")[0].split("{")[0]
            if case.find("skipped") is None:
                ok = case.find("failure") is None and case.find("error") is None
                passed[name] = passed.get(name, True) and ok
    return passed


def main():
    work = tempfile.mkdtemp(prefix="trine-rck-")
    os.environ["TRINE_ICEBERG_DROP"] = "on"  # the kit tidies up
    server = trine.Server(trine.binary(), work)
    server.start()
    try:
        environment = dict(os.environ, CATALOG_URI=server.base + "/iceberg", CATALOG_WAREHOUSE="")
        target = os.path.join(work, "target")
        with open(os.path.join(work, "maven.log"), "wb") as log:
            subprocess.run(
                ["mvn", "--batch-mode", "--file", os.path.join(HERE, "pom.xml"), "-DbuildDirectory=" + target, "test"],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
            )
    except subprocess.CalledProcessError:
        with open(os.path.join(work, "maven.log"), encoding="utf-8", errors="replace") as log:
            sys.exit("rck: maven failed:\n" + "".join(log.readlines()[-40:]))
    finally:
        server.stop()
    passed, listed = results(target), expected()
    if len(passed) < 80:
        sys.exit(f"rck: only {len(passed)} tests ran; see {work}")
    wrong = [f"{name} fails and is not listed" for name, ok in sorted(passed.items()) if not ok and name not in listed]
    wrong += [f"{name} is listed and passes" for name in listed if passed.get(name)]
    wrong += [f"{name} is listed and did not run" for name in listed if name not in passed]
    print(f"rck: {sum(passed.values())} of {len(passed)} tests pass, {len(listed)} are listed as not")
    if wrong:
        sys.exit("rck: " + "\nrck: ".join(wrong))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
