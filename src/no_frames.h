/* Errors end at the user's own line. Cython adds a frame for each of its functions that an exception
 * passes through, with lines of .pxi files that nobody has; functions of C extensions have none.
 * Nothing else in the generated code makes traceback entries. -DMF_KEEP_FRAMES brings them back. */
#ifndef MF_NO_FRAMES_H
#define MF_NO_FRAMES_H

#include <Python.h>

#ifndef MF_KEEP_FRAMES
#define PyTraceBack_Here(frame) ((void)(frame))
#endif

#endif
