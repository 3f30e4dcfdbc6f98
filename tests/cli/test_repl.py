#!/usr/bin/env python3
"""brood repl: through a pipe, and with a person at the keyboard, played on a pseudo-terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import termios
import time
import unittest

BROOD = os.path.abspath(os.environ.get("BROOD", "build/brood"))


def piped(text):
    return subprocess.run([BROOD, "repl"], input=text, capture_output=True, text=True, check=False, timeout=60)


class Pipe(unittest.TestCase):
    def lines(self, text):
        done = piped(text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split("\n")[:-1]

    def test_expressions_show_their_values(self):
        self.assertEqual(self.lines("1 + 1\n'a', nil, true\n= 7\nlocal x = 3\nmath.max(2, 5)"),
                         ["2", "a\tnil\ttrue", "7", "5"])

    def test_names_stay(self):
        self.assertEqual(self.lines("x = 4\nx * x\nfunction double(y) return 2 * y end\ndouble(x)"), ["16", "8"])

    def test_lines_go_on_until_they_make_sense(self):
        self.assertEqual(self.lines("for i = 1, 2 do\nprint(i)\nend\n3 +\n4\n[[a\nb]]\nmath.max(\n1,\n2\n)"),
                         ["1", "2", "7", "a", "b", "2"])

    def test_tables_show_what_is_in_them(self):
        self.assertEqual(self.lines("{ 1, { 'two' }, b = 3, a = {} }\n{}"), ['{ 1, { "two" }, a = {}, b = 3 }', "{}"])
        long = "\n".join(self.lines("t = {} for i = 1, 60 do t[i] = 'number ' .. i end\nt"))
        self.assertTrue(long.startswith('{\n    "number 1",\n    "number 2",\n'), long)
        self.assertTrue(long.endswith('    "number 50",\n    ... (60 in all),\n}'), long)
        self.assertEqual(self.lines("t = {} t.t = t\n#tostring(t) > 0"), ["true"])
        self.assertTrue(self.lines("t = {} t.t = t\nt")[0].startswith("{ t = { t = { t = table: "))

    def test_the_library_is_there(self):
        self.assertEqual(self.lines("data.digits {}:classes()[10]\nbrood.nn == nn\n"
                                    "augment ~= nil, context, graph, loss, metric, optim, schedule and 1")[:2], ["9", "true"])
        self.assertEqual(self.lines("nn.linear { out = 3 }")[0], "linear (stdin:1)")
        self.assertEqual(self.lines("loss.hinge {}"), ["loss.hinge {}"])

    def test_search_spaces_rules_and_modules(self):
        self.assertEqual(self.lines("pbt.truncation { top = 0.3 }\n{ lr = pbt.log_uniform(1e-4, 1) }\npbt.perturb {}"),
                         ["pbt.truncation { bottom = 0.2, top = 0.3 }", "{ lr = pbt.log_uniform(0.0001, 1) }",
                          "pbt.perturb { chance = 1, factors = { 0.8, 1.25 } }"])
        nn, brood = self.lines("nn\nbrood")
        self.assertRegex(nn, "^brood.nn: .*batch_norm, .*conv, ")
        self.assertRegex(brood, "^brood: experiment, .*pbt$")

    def test_errors_end_nothing(self):
        done = piped("error 'first'\nnn.linera {}\ny = = 2\nfoo()\nfunction f() error {} end\nf()\n"
                     "setmetatable({}, { __tostring = function() error 'shown' end })\n"
                     "setmetatable({}, { __tostring = function() return {} end })\n'still here'\nfor")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.split("\n")[-2], "still here")
        for words in ("stdin:1: first\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in main chunk\n",
                      "brood.nn has no 'linera': did you mean 'linear'?", "stdin:1: unexpected symbol near '='",
                      "there is no global 'foo'", "(error object is a table value)", "in function 'f'",
                      "stdin:1: <name> expected near <eof>"):
            self.assertIn(words, done.stderr)
        self.assertNotIn("repl.lua", done.stderr)
        self.assertIn("(stdin:1: shown)", done.stdout)
        self.assertIn("'__tostring' must return a string)", done.stdout)

    def test_an_empty_pipe(self):
        self.assertEqual(self.lines(""), [])
        self.assertEqual(self.lines("\n\n  \n"), [])

    def test_scripts_may_still_not_make_globals(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write("x = 3")
            script.flush()
            done = subprocess.run([BROOD, "lua", script.name], capture_output=True, text=True, check=False, timeout=60)
        self.assertIn("assignment to the undefined global 'x'", done.stderr)


class Person:
    """brood repl on a pseudo-terminal of 80 columns; what it writes, without the terminal's own codes."""

    def __init__(self, state):
        self.text = ""
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", XDG_STATE_HOME=state, LC_ALL="C.UTF-8", COLUMNS="80")
            os.execv(BROOD, [BROOD, "repl"])

    def type(self, keys):
        """Keys that are meant for the prompt wait for it: until it has taken the terminal over, that echoes by itself."""
        end = time.monotonic() + 10
        while keys != "\x03" and time.monotonic() < end and termios.tcgetattr(self.screen)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(self.screen, keys.encode())

    def read(self):
        try:
            piece = os.read(self.screen, 4096) if select.select([self.screen], [], [], 0.2)[0] else b""
        except OSError:  # it has gone
            return False
        text = piece.decode("utf-8", "replace")
        self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r", "", text)
        return True

    def wait_for(self, words, seconds=30):
        """All that was written up to these words, which are taken away."""
        end = time.monotonic() + seconds
        while words not in self.text and time.monotonic() < end and self.read():
            pass
        if words not in self.text:
            raise AssertionError(f"{words!r} did not come, but {self.text!r}")
        before, self.text = self.text.split(words, 1)
        return before

    def ask(self, line, prompt="\n> "):
        """What comes of a line, between its echo and the next prompt."""
        self.type(line + "\n")
        self.wait_for(line + "\n")
        self.text = "\n" + self.text
        # a terminal that is not raw yet echoes the line by itself, too
        return self.wait_for(prompt).strip("\n").removeprefix(line + "\n")

    def leave(self):
        self.type("\x04")
        while self.read() and select.select([self.screen], [], [], 0.5)[0]:
            pass
        end, left = time.monotonic() + 30, 0
        while not left and time.monotonic() < end:
            left, status = os.waitpid(self.pid, os.WNOHANG)
            time.sleep(0.01)
        if not left:
            raise AssertionError(f"it did not leave: {self.text!r}")
        os.close(self.screen)
        return os.waitstatus_to_exitcode(status)

    def kill(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


class Keyboard(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.TemporaryDirectory()
        self.addCleanup(self.state.cleanup)

    def person(self):
        person = Person(self.state.name)
        self.addCleanup(person.kill)
        person.wait_for("Ctrl-D leaves.\n> ")
        return person

    def history(self):
        with open(os.path.join(self.state.name, "brood", "history"), encoding="utf-8") as file:
            return file.read()

    def test_values_and_leaving(self):
        person = self.person()
        self.assertEqual(person.ask("20 + 22"), "42")
        self.assertIn("stdin:1: boo\nstack traceback:", person.ask("error 'boo'"))
        self.assertEqual(person.ask("'still here'"), "still here")
        self.assertEqual(person.leave(), 0)

    def test_lines_that_go_on(self):
        person = self.person()
        person.type("for i = 1, 2 do\n")
        person.wait_for(">> ")
        person.type("print('line', i)\n")
        person.wait_for(">> ")
        person.type("end\n")
        self.assertIn("line\t1\nline\t2\n".expandtabs(8), person.wait_for("> ").expandtabs(8))

    def test_completion(self):
        person = self.person()
        for beginning, rest in (("nn.lea", "ky_relu"), ("brood.nn.spec", "tral_norm"), ("sche", "dule"),
                                ("string.for", "mat"), ("whi", "le"), ("data.digits", "")):
            person.type(beginning + "\t")
            person.wait_for(beginning + rest)
            person.type("\x15")  # the line away
        person.ask("digits = data.digits {}")
        person.type("digits:his\t")
        person.wait_for("digits:histogram")
        person.type("\x15")
        person.ask("layer = nn.relu {}")
        person.type("layer:desc\t")
        person.wait_for("layer:describe")
        person.type("\x15nn.\t")
        person.wait_for("nn.")
        shown = person.wait_for("> nn.")
        for name in ("avg_pool", "conv", "upconv", "self_attention"):
            self.assertIn(name, shown)
        self.assertLess(max(len(line) for line in shown.split("\n")), 81)
        person.type("\x15nothing.there\t.at_all\t")
        person.wait_for("nothing.there\x07.at_all\x07")  # the bell
        person.type("\x15x = \t8")  # nothing to complete, nothing is inserted
        person.type("\nx\n")
        person.wait_for("\n8\n")

    def test_ctrl_c_gives_a_line_up(self):
        person = self.person()
        person.type("print('never'")
        person.wait_for("never'")
        person.type("\x03")
        person.wait_for("^C\n> ")
        self.assertEqual(person.ask("1 + 2"), "3")
        person.type("for i = 1, 2 do\n")
        person.wait_for(">> ")
        person.type("\x03")
        person.wait_for("^C\n> ")
        self.assertEqual(person.ask("3 + 4"), "7")
        self.assertEqual(person.leave(), 0)

    def test_ctrl_c_ends_what_it_does(self):
        person = self.person()
        person.type("print 'going' while true do end\n")
        person.wait_for("\ngoing\n")
        person.type("\x03")
        self.assertIn("interrupted\nstack traceback:", person.wait_for("in main chunk\n> "))
        self.assertEqual(person.ask("5 + 6"), "11")

    def test_history(self):
        person = self.person()
        person.ask("6 * 7")
        person.type("\x1b[A")  # up
        person.wait_for("6 * 7")
        person.type(" + 1\n")
        person.wait_for("\n43\n")
        person.ask("local secret = 'x'")
        person.leave()
        self.assertIn("6\\040*\\0407", self.history())
        other = self.person()
        other.type("\x1b[A\x1b[A\n")
        self.assertTrue(other.wait_for("\n> ").endswith("\n43"))
        other.leave()
        self.assertEqual(os.stat(os.path.join(self.state.name, "brood", "history")).st_mode & 0o77, 0)

    def test_a_history_that_cannot_be_kept(self):
        with open(os.path.join(self.state.name, "brood"), "w", encoding="utf-8"):
            pass
        person = self.person()
        self.assertIn("the history is not kept", person.ask("8 + 8"))
        self.assertEqual(person.ask("9 + 9"), "18")


if __name__ == "__main__":
    unittest.main()
