"""Programs for paramiko get our package of that name."""


def test_paramiko_and_its_modules_are_ours(place):
    place.write(
        "program.py",
        """
        import paramiko.ssh_exception, manyhands.paramiko
        from paramiko import SFTPClient, sftp_attr
        assert paramiko is manyhands.paramiko
        assert SFTPClient.__module__ == "manyhands.paramiko.sftp_client"
        assert sftp_attr.__spec__.name == "manyhands.paramiko.sftp_attr"
        with paramiko.SSHClient() as client:
            try:
                client.connect("127.0.0.1", 1, username="ann", password="x", timeout=10)
            except paramiko.ssh_exception.NoValidConnectionsError as error:
                print(error)
        """,
    )
    done = place.run("program.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Unable to connect to port 1 on 127.0.0.1" in done.stdout


def test_what_is_not_offered_says_so(place):
    place.write(
        "program.py",
        """
        try:
            import paramiko.server
        except ImportError as error:
            print(error)
        """,
    )
    done = place.run("program.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "manyhands.paramiko does not offer the module server" in done.stdout


def test_a_package_of_the_program_is_left_alone(place):
    place.write("paramiko/__init__.py", "name = 'own'")
    place.write("program.py", "import paramiko; print(paramiko.name)")
    done = place.run("program.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "own\n", "")
