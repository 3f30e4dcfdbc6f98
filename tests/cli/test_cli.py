#!/usr/bin/env python3
"""The command line of brood: commands, options, exit codes, and what scripts see of it."""

import os
import shutil
import subprocess
import tempfile
import unittest

BROOD = os.path.abspath(os.environ.get("BROOD", "build/brood"))
FINE, FAILED, USAGE = 0, 1, 2


def brood(*arguments, folder=None, given="", environment=None):
    return subprocess.run([BROOD, *arguments], input=given, capture_output=True, text=True, cwd=folder,
                          check=False, timeout=60, env=dict(os.environ, **(environment or {})))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if isinstance(text, str) else "wb") as file:
            file.write(text)
        return path

    def run_script(self, text, *arguments, **options):
        return brood("lua", self.write("script.lua", text), *arguments, **options)


class Commands(Case):
    def test_help(self):
        for arguments in (["--help"], ["-h"], ["help"]):
            done = brood(*arguments)
            self.assertEqual((done.returncode, done.stderr), (FINE, ""))
            for word in ("Usage: brood", "lua ", "doctor ", "lua-types ", "--scripts", "Exit codes:"):
                self.assertIn(word, done.stdout)

    def test_help_of_a_command(self):
        for command in ("lua", "lua-types", "doctor", "help"):
            texts = set()
            for arguments in (["help", command], [command, "--help"], [command, "-h"]):
                done = brood(*arguments)
                self.assertEqual((done.returncode, done.stderr), (FINE, ""))
                self.assertTrue(done.stdout.startswith(f"Usage: brood {command}"), done.stdout)
                texts.add(done.stdout)
            self.assertEqual(len(texts), 1)

    def test_version(self):
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "VERSION"), encoding="utf-8") as file:
            version = file.read().strip()
        for arguments in (["--version"], ["lua", "--version"]):
            done = brood(*arguments)
            self.assertEqual((done.returncode, done.stdout), (FINE, f"brood {version}\n"))

    def test_no_command(self):
        done = brood()
        self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
        self.assertIn("Usage: brood", done.stderr)

    def test_unknown_commands(self):
        done = brood("dcotor")
        self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
        self.assertEqual(done.stderr, "brood: there is no command 'dcotor': did you mean 'doctor'?\n")
        self.assertIn("did you mean 'lua-types'?", brood("help", "luatypes").stderr)
        done = brood("something")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("`brood --help` lists them", done.stderr)

    def test_unknown_options(self):
        for arguments in (["--colour"], ["-x"], ["doctor", "--colour"], ["lua", "-x"], ["--scripts"]):
            done = brood(*arguments)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""), arguments)
            self.assertNotEqual(done.stderr, "")

    def test_number_of_arguments(self):
        done = brood("lua")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("lua: an argument is missing\nUsage: brood lua", done.stderr)
        done = brood("doctor", "now")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("doctor: too many arguments", done.stderr)

    def test_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([BROOD, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  check=False)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("cannot write to standard output", done.stderr)


class Readme(Case):
    def test_the_graph_snippet(self):
        path = os.path.join(os.path.dirname(__file__), "..", "..", "README.md")
        with open(path, encoding="utf-8") as file:
            snippet = file.read().split("```lua\n")[2].split("```")[0]
        self.assertIn("graph.grad", snippet)
        done = self.run_script(snippet)
        self.assertEqual((done.returncode, done.stderr), (FINE, ""))
        self.assertGreater(float(done.stdout), 0)


class Doctor(Case):
    def test_what_it_shows(self):
        done = brood("doctor")
        self.assertEqual((done.returncode, done.stderr), (FINE, ""))
        for word in ("version", "build", "instructions", "BLAS", "1 thread", "Lua ", "5.4", "libpng", "zlib",
                     "SQLite", "cJSON", "xxHash", "SLEEF", "cores", "memory", "GiB"):
            self.assertIn(word, done.stdout)

    def test_it_is_aligned(self):
        lines = [line for line in brood("doctor").stdout.splitlines() if line.startswith("  ")]
        self.assertGreater(len(lines), 12)
        self.assertTrue(all(line[15] == " " and line[16] != " " for line in lines), lines)

    def test_hints(self):
        done = brood("doctor", environment={"BROOD_ISA": "baseline", "LUA_PATH": "x"})
        self.assertIn("instructions  baseline", done.stdout)
        self.assertIn("BROOD_ISA is set to 'baseline'", done.stdout)
        self.assertIn("LUA_PATH", done.stdout)


class Scripts(Case):
    def test_what_is_said_at_an_interrupt(self):
        for seconds, words in ((600, "first, about 10 minutes, last"), (40.4, "first, about 40 s, last"),
                               (10800, "first, about 3 hours, last"), (-1, "first, last")):
            done = brood("lua", "-", given=f'''
                local files = require "brood.files"
                files.at_interrupt("first", ", last", files.seconds() + {seconds})
                files.watch_interrupt()
                io.popen("kill -INT $PPID"):close()
                print(files.interrupted())''')
            self.assertEqual((done.stdout, done.stderr), ("true\n", "\n" + words + "\n"))

    def test_arguments(self):
        done = self.run_script('print(arg[0]:match "[^/]*$", arg[1], arg[2], #arg, arg[-1], ...)',
                               "one", "--two")
        self.assertEqual((done.returncode, done.stderr), (FINE, ""))
        self.assertEqual(done.stdout, "script.lua\tone\t--two\t2\tbrood\tone\t--two\n")

    def test_standard_input(self):
        done = brood("lua", "-", "x", given="print(arg[0], ...)")
        self.assertEqual((done.returncode, done.stdout), (FINE, "-\tx\n"))

    def test_a_first_line_for_the_shell(self):
        self.assertEqual(self.run_script("#!/usr/bin/env -S brood lua\nprint(1)").stdout, "1\n")

    def test_exit_codes_of_scripts(self):
        self.assertEqual(self.run_script("os.exit(7)").returncode, 7)
        self.assertEqual(self.run_script("os.exit(true, true)").returncode, FINE)

    def test_missing_file(self):
        done = brood("lua", os.path.join(self.folder.name, "missing.lua"))
        self.assertEqual((done.returncode, done.stdout), (FAILED, ""))
        self.assertIn("missing.lua", done.stderr)
        self.assertIn("No such file", done.stderr)
        self.assertEqual(brood("lua", self.folder.name).returncode, FAILED)

    def test_an_error_has_a_traceback(self):
        done = self.run_script("local function deep()\n  error 'went wrong'\nend\nprint 'before'\ndeep()\n")
        self.assertEqual((done.returncode, done.stdout), (FAILED, "before\n"))
        self.assertIn("script.lua:2: went wrong\nstack traceback:\n", done.stderr)
        self.assertIn("script.lua:5: in main chunk", done.stderr)

    def test_errors_that_are_no_texts(self):
        done = self.run_script("error(setmetatable({}, { __tostring = function() return 'my own' end }))")
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("brood: my own\nstack traceback:", done.stderr)
        self.assertIn("(error object is a table value)", self.run_script("error {}").stderr)
        self.assertIn("(error object is a nil value)", self.run_script("error()").stderr)
        self.assertEqual(self.run_script("error()").returncode, FAILED)

    def test_syntax_errors(self):
        done = self.run_script("print(1\nprint(2)")
        self.assertEqual((done.returncode, done.stdout), (FAILED, ""))
        self.assertIn("script.lua:2: ')' expected (to close '(' at line 1)", done.stderr)

    def test_endless_recursion(self):
        done = self.run_script("local function f() return 1 + f() end f()")
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("stack overflow", done.stderr)

    def test_errors_while_collecting_are_warned_of(self):
        done = self.run_script("setmetatable({}, { __gc = function() error 'in gc' end }) collectgarbage()")
        self.assertEqual(done.returncode, FINE)
        self.assertIn("in gc", done.stderr)

    def test_an_error_in_the_graph(self):
        done = self.run_script('local graph = require "brood.graph"\nlocal g = graph.new()\n'
                               'local x = g:input("x", { 2 })\nlocal y = x:tanh() + g:input("z", { 3 })\n')
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("script.lua:4: +: the shapes (2) and (3) do not go together", done.stderr)
        self.assertIn("stack traceback:", done.stderr)

    def test_compiled_lua_is_refused(self):
        path = os.path.join(self.folder.name, "compiled.lua")
        done = self.run_script("io.open(..., 'wb'):write(string.dump(function() end)):close()", path)
        self.assertEqual(done.returncode, FINE, done.stderr)
        done = brood("lua", path)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("compiled.lua: this is compiled Lua, which is not run: give the source text",
                      done.stderr)

    def test_random_numbers_repeat(self):
        text = "print(math.random(1 << 40), math.random(), math.random(6))"
        self.assertEqual(self.run_script(text).stdout, self.run_script(text).stdout)

    def test_the_environment_does_not_count(self):
        self.write("elsewhere/hidden.lua", "return 1")
        path = os.path.join(self.folder.name, "elsewhere", "?.lua")
        done = self.run_script("print(pcall(require, 'hidden'))",
                               environment={"LUA_PATH": path, "LUA_PATH_5_4": path, "LUA_INIT": "os.exit(9)"})
        self.assertEqual(done.returncode, FINE)
        self.assertTrue(done.stdout.startswith("false\t"), done.stdout)

    def test_a_long_run_of_numbers_is_the_same_twice(self):
        here = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "experiments", "hello.lua")
        first, second = brood("lua", here), brood("lua", here)
        self.assertEqual((first.returncode, first.stderr), (FINE, ""))
        self.assertEqual(first.stdout, second.stdout)
        lines = [line for line in first.stdout.splitlines() if "loss" in line]
        losses = [float(line.split("loss")[1].split()[0]) for line in lines]
        self.assertLess(losses[-1], losses[0] / 100)


class Modules(Case):
    def test_beside_the_script(self):
        self.write("helper.lua", "return { name = ... }")
        self.write("folder/init.lua", "return 'a folder'")
        self.write("folder/part.lua", "return 'a part'")
        text = "print(require 'helper'.name, (require 'folder'), (require 'folder.part'))"
        for folder in (None, self.folder.name):
            done = self.run_script(text, folder=folder)
            self.assertEqual((done.returncode, done.stdout), (FINE, "helper\ta folder\ta part\n"))

    def test_beside_comes_before_the_library(self):
        self.write("brood/init.lua", "return 'my own'")
        self.assertEqual(self.run_script("print((require 'brood'))").stdout, "my own\n")

    def test_a_script_without_a_folder(self):
        self.write("helper.lua", "return 'here'")
        self.write("script.lua", "print((require 'helper'))")
        self.assertEqual(brood("lua", "script.lua", folder=self.folder.name).stdout, "here\n")

    def test_an_odd_folder(self):
        self.write("a;b?c/helper.lua", "return 'found'")
        done = brood("lua", self.write("a;b?c/script.lua", "print((require 'helper'))"))
        self.assertEqual(done.stdout, "found\n", done.stderr)

    def test_compiled_modules_are_refused(self):
        path = os.path.join(self.folder.name, "compiled.lua")
        self.run_script("io.open(..., 'wb'):write(string.dump(function() end)):close()", path)
        done = self.run_script("require 'compiled'")
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("attempt to load a binary chunk", done.stderr)

    def test_an_error_in_a_module(self):
        self.write("helper.lua", "local x = 1\nerror 'in the module'")
        done = self.run_script("require 'helper'")
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("helper.lua:2: in the module", done.stderr)

    def test_scripts_option(self):
        self.write("library/brood/init.lua", "return { origin = 'the folder' }")
        self.write("library/brood/deep/init.lua", "return 'deep'")
        library = os.path.join(self.folder.name, "library")
        script = self.write("script.lua", "print(require 'brood'.origin, (require 'brood.deep'))")
        for arguments in (["--scripts", library, "lua", script], ["lua", "--scripts", library, script],
                          ["lua", f"--scripts={library}", script]):
            done = brood(*arguments)
            self.assertEqual((done.returncode, done.stdout), (FINE, "the folder\tdeep\n"), done.stderr)

    def test_scripts_option_replaces_the_whole_library(self):
        self.write("library/brood/other.lua", "return 1")
        done = brood("lua", "--scripts", os.path.join(self.folder.name, "library"),
                     self.write("script.lua", "require 'brood'"))
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("library/brood.lua", done.stderr)

    def test_scripts_option_without_a_library(self):
        for folder in (self.folder.name, os.path.join(self.folder.name, "missing")):
            done = brood("lua", "--scripts", folder, self.write("script.lua", "print 'ran'"))
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""))
            self.assertIn("there is no folder 'brood' in it", done.stderr)

    def test_blame_passes_over_the_library(self):
        """An error inside a library function names the script's line, wherever the library comes from."""
        self.write("library/brood/init.lua",
                   'local script = require "brood.script"\n'
                   "return { layer = function() local x = script.fail 'bad layer' return x end }")
        library = os.path.join(self.folder.name, "library")
        script = self.write("script.lua",
                            "local brood = require 'brood'\nlocal x = 1\nlocal l = brood.layer()\n")
        done = brood("lua", "--scripts", library, script)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("script.lua:3: bad layer", done.stderr)


class Types(Case):
    def test_they_are_lua_and_name_everything(self):
        done = brood("lua-types")
        self.assertEqual((done.returncode, done.stderr), (FINE, ""))
        for word in ("---@meta brood.graph", "---@class brood.Tensor", "---@field conv fun(x: brood.Tensor",
                     "---@field run fun(self: brood.Program, inputs?",
                     "---@field tanh fun(self: brood.Tensor)"):
            self.assertIn(word, done.stdout)
        fields = [line for line in done.stdout.splitlines() if line.startswith("---@field")]
        self.assertGreater(len(fields), 60)
        for line in fields:
            self.assertRegex(line, r"^---@field \w+ fun\(.*\).* # .+\.$")


class Embedding(Case):
    """app/embed.sh turns Lua files into a C table."""
    ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    PRINTER = ('#include <stdio.h>\n#include "app/embedded.h"\nint main(void) {\n'
               "for (const EmbeddedScript *s = embedded_scripts; s->name; s++)\n"
               '{ printf("%s %zu:", s->name, s->length); fwrite(s->text, 1, s->length, stdout); }\nreturn 0; }\n')

    def embedded(self, *files):
        """What a program made with the files holds."""
        script = os.path.join(self.ROOT, "app", "embed.sh")
        made = subprocess.run(["sh", script, *files], capture_output=True, check=True).stdout
        self.write("embedded.c", made)
        self.write("printer.c", self.PRINTER)
        subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", self.ROOT,
                        "-o", "printer", "printer.c", "embedded.c"], cwd=self.folder.name, check=True)
        printer = os.path.join(self.folder.name, "printer")
        return subprocess.run([printer], capture_output=True, check=True).stdout

    def test_bytes_survive(self):
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler")
        every_byte = bytes(range(256)) * 3
        first, second = self.write("lib/brood/init.lua", every_byte), self.write("lib/brood/empty.lua", "")
        self.assertEqual(self.embedded(first, second),
                         b"brood/init.lua 768:" + every_byte + b"brood/empty.lua 0:")
        self.assertEqual(self.embedded(), b"")


if __name__ == "__main__":
    unittest.main(verbosity=0)
