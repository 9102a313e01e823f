# Builds of the extension that look for trouble, each in a folder of its own below build/, and the
# tests run on them. `make PYTHON=.venv/bin/python sanitize`. Needs GCC, and the packages of '.[dev]'.
#
#   make sanitize   AddressSanitizer and UndefinedBehaviorSanitizer, C asserts
#   make checks     all of Cython's run-time checks, C asserts
#   make valgrind   memcheck over a reduced suite
#   make coverage   lines of Python and Cython that the quick tests reach
#   make fuzz       random programs of public calls, for FUZZ_SECONDS

PYTHON ?= python3
TESTS ?= tests
MARK ?= not slow
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 600

# From the sources as they are; the checkout's own build is not touched.
BUILD = $(PYTHON) setup.py -q build --build-base build/$@ --build-lib build/$@/lib
PYTEST = $(PYTHON) -m pytest -p no:cacheprovider -m '$(MARK)' $(PYTEST_ARGS) $(TESTS)
CHECKS = boundscheck,wraparound,initializedcheck,nonecheck,cdivision=False,overflowcheck

.PHONY: sanitize sanitize-build checks checks-build valgrind valgrind-build coverage coverage-build fuzz

# The sanitizers' flags. CPython itself leaks at exit by design, so leaks are counted by the tests.
SANITIZE = -O1 -g -fno-omit-frame-pointer -UNDEBUG -fsanitize=address,undefined \
           -fno-sanitize-recover=undefined
ASAN = LD_PRELOAD="$(shell gcc -print-file-name=libasan.so) $(shell gcc -print-file-name=libubsan.so)" \
       PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1 \
       UBSAN_OPTIONS=print_stacktrace=1

sanitize-build:
	MF_CFLAGS='$(SANITIZE)' MF_LDFLAGS='-fsanitize=address,undefined' \
	  $(PYTHON) setup.py -q build --build-base build/sanitize --build-lib build/sanitize/lib

sanitize: sanitize-build
	$(ASAN) PYTHONPATH=$(CURDIR)/build/sanitize/lib $(PYTEST)
