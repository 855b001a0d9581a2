#ifndef LLMGINE_CZLIB_SHIM_H
#define LLMGINE_CZLIB_SHIM_H

#include <zlib.h>

// In zlib's header these two are macros, which Swift does not see. A negative window: deflate as in RFC 1951, without header or checksum.

static inline int czlib_deflate_init(z_streamp stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
}

static inline int czlib_inflate_init(z_streamp stream) { return inflateInit2(stream, -15); }

#endif
