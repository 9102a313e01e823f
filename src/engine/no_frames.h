/* Errors end at the user's own line. Cython adds a frame for each of its functions that an exception
 * passes through, with lines of .pxi files that nobody has; functions of C extensions have none.
 * Nothing else in the generated code makes traceback entries. -DMF_KEEP_FRAMES brings them back.
 *
 * The price: an exception that the core itself catches has no traceback, and code that Cython makes
 * for leaving a handler by return, break or continue gives back a reference to it unseen: a crash.
 * Handlers therefore run to their end or raise; test_sources.py looks at each. */
#ifndef MF_NO_FRAMES_H
#define MF_NO_FRAMES_H

#include <Python.h>

#ifndef MF_KEEP_FRAMES
#define PyTraceBack_Here(frame) ((void)(frame))
#endif

#endif
