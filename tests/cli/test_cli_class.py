"""`cnnviz class`: what it prints, what it starts, and what it refuses before a class is waiting."""

import socket
from pathlib import Path

import pytest

from cnnviz.cli import app, classroom, main
from cnnviz.errors import BadInput


def test_its_help_says_what_it_is_for(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["class", "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in said for word in ("--port", "--host", "--tour", "token", "QR code", "follow the lecturer"))


def test_the_students_address_holds_no_token_and_the_lecturer_s_hides_it_from_servers():
    said = classroom.announcement("http://192.168.1.20:8501", "secret-token", "lecture")
    students, lecturer = (line.split()[-1] for line in said.splitlines() if line.startswith("  "))
    assert students == "http://192.168.1.20:8501"
    address, _, fragment = lecturer.partition("#")  # a browser sends no server what stands behind it
    assert address == "http://192.168.1.20:8501/?tour=lecture" and fragment == "lecturer=secret-token"
    assert "#lecturer=secret-token" in classroom.announcement("http://10.0.0.2:8501", "secret-token")


def test_the_qr_code_holds_the_address():
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    url = "http://192.168.1.20:8501"
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}  # a character is two modules, one above the other
    lines = [line for line in classroom.qr_code(url).splitlines() if line]
    upper = [[halves[c][0] for c in line] for line in lines]
    lower = [[halves[c][1] for c in line] for line in lines]
    modules = np.array([row for pair in zip(upper, lower, strict=True) for row in pair], np.uint8) * 255
    picture = np.kron(modules, np.ones((8, 8), np.uint8))
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == url


def test_the_server_is_bound_to_the_address_and_widens_nothing_that_it_answers_to():
    command = classroom.server_command(Path("app/Home.py"), "192.168.1.20", "192.168.1.20", 8600)
    assert "--server.address=192.168.1.20" in command and "--server.port=8600" in command
    assert not any(part.startswith(("--server.allowedHosts", "--server.cors")) for part in command)  # app/hosts.py
    assert not any("token" in part.lower() for part in command)  # every user of a machine can read command lines


def test_a_port_in_use_or_out_of_range_and_a_foreign_address_are_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="choose another with --port"):
            classroom.check_free("127.0.0.1", taken.getsockname()[1])
    for port in (0, -1, 70000):
        with pytest.raises(BadInput, match="from 1 to 65535"):
            classroom.check_free("127.0.0.1", port)
    with pytest.raises(BadInput, match="cannot be used"):
        classroom.check_free("192.0.2.7", 8501)  # reserved for documentation: nobody's


def test_a_tour_that_cannot_run_stops_the_start(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_TOURS", str(tmp_path))
    (tmp_path / "broken.yaml").write_text("title: T\nstops: []")
    assert main(["class", "--host", "127.0.0.1", "--tour", "broken"]) == 1
    assert "broken.yaml" in capsys.readouterr().err
    assert main(["class", "--host", "127.0.0.1", "--tour", "missing"]) == 1
    assert "No tour named 'missing'" in capsys.readouterr().err


def test_the_address_in_the_local_network_is_none_of_this_computer_s_inner_ones():
    try:
        found = classroom.lan_address()
    except BadInput as error:
        assert "--host" in str(error)
    else:
        assert socket.inet_aton(found) and not found.startswith("127.")


@pytest.mark.parametrize("url", ["cnn.example.org", "ftp://cnn.example.org", "https://", "https://[::1", "http://a/b"])
def test_an_address_of_a_proxy_that_is_none_is_refused(url, capsys):
    for command in ("class", "app"):
        assert main([command, "--host", "127.0.0.1", "--url", url]) == 1
        assert "https://cnn.example.org" in capsys.readouterr().err


def test_the_app_takes_the_next_port_that_is_free_unless_one_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        with pytest.raises(BadInput, match="choose another with --port"):
            app.find_port("127.0.0.1", busy)
        monkey = app.PORT
        try:
            app.PORT = busy
            assert app.find_port("127.0.0.1", None) > busy
        finally:
            app.PORT = monkey
