/* Files: read piece by piece or whole, written whole or not at all, and known by the hash of what they hold.
 * Messages start with the path. */
#ifndef BROOD_BASE_FILE_H
#define BROOD_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { FILE_PATH_LIMIT = 4096, FILE_HASH = 33 }; /* room for a path, and for a hash; both end with a zero */

/* ---- reading ------------------------------------------------------------------------------------------- */

typedef struct {
    const char *path; /* borrowed */
    int descriptor;   /* -1: closed */
    size_t size;      /* bytes, when it was opened */
} File;

/* Opens a regular file; anything else (a folder, a pipe, a device) is refused, without waiting for it. */
Status file_open(File *file, const char *path, Error *error);
void file_close(File *file); /* closing twice does nothing */

/* The next `count` bytes. STATUS_CORRUPT when the file ends before that. */
Status file_read_next(File *file, void *bytes, size_t count, Error *error);

/* A regular file's whole content, to be freed by memory_free; STATUS_CORRUPT when it has over `limit` bytes.
 */
Status file_load(const char *path, size_t limit, uint8_t **bytes, size_t *size, Error *error);

/* ---- writing ------------------------------------------------------------------------------------------- */

/* What is written is given as pieces, one after the other, so that nothing need be copied together first. */
typedef struct {
    const void *bytes;
    size_t size;
} FilePiece;

/* Writes to a temporary file beside `path` (PATH.PROCESS-NUMBER.tmp), syncs it, renames it to `path` and
 * syncs the folder: at every instant, and after a power cut, there is either what was there before or all of
 * the new content. On failure what was there before is unharmed, and no temporary file is left; a killed
 * process can leave one. */
Status file_save(const char *path, const FilePiece *pieces, size_t count, Error *error);

/* Syncs the folder that `path` lies in, so that names in it outlive a power cut; for a file that another
 * thread or process has just saved, and may not have synced the folder of. File systems that cannot do it are
 * let off. */
Status file_sync_folder(const char *path, Error *error);

/* The hash of a content, in 32 hexadecimal digits: XXH3, 128 bits, as the command xxh128sum prints it. It
 * tells contents apart that differ by chance or damage; it is no protection from someone who wants two to
 * agree. */
Status file_hash(const FilePiece *pieces, size_t count, char hash[FILE_HASH], Error *error);

/* The hash of a regular file's content, which is read piece by piece, whatever its size. */
Status file_hash_at(const char *path, char hash[FILE_HASH], Error *error);

#endif
