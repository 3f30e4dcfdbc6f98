/* States in files: all the numbers of a member, as safetensors (gan/safetensors.h), in the state's order.
 *
 * A tensor is called GROUP/KIND/NAME, as in "G/parameter/conv1.w", "D/moment1/fc.b",
 * "G/average_parameter/conv1.w"; the dtype is F32, or F64 in the double build. A state file's one fact of its
 * own is "layout", the layout's signature: nothing about the run lies in it. So equal states are equal files,
 * and what a file is called after, the hash of its content, stands for the state. Gaps between tensors are
 * not saved. */
#ifndef BROOD_GAN_STATE_FILE_H
#define BROOD_GAN_STATE_FILE_H

#include "base/file.h"
#include "gan/program/layout.h"
#include "gan/safetensors.h"

#define STATE_FILE_ENDING ".safetensors"
enum { STATE_NAME = FILE_HASH + sizeof STATE_FILE_ENDING - 1 };

/* Stands for kind, group, name and shape of everything in the layout, in the state's order, and for the type
 * of numbers. STATUS_INVALID when states of this layout cannot be saved: a '/' in a group, a name that is not
 * printable UTF-8, too many tensors. So a run that asks for it first is sure to be able to save. */
Status state_signature(const Layout *layout, char signature[FILE_HASH], Error *error);

/* The hash of the file that the state would be saved as. Equal exactly when layout and numbers are, bit for
 * bit. */
Status state_hash(const State *state, char hash[FILE_HASH], Error *error);

/* Saves as DIRECTORY/HASH.safetensors, and gives that name without the directory. A file that is there under
 * the name and holds what it should is left alone; one that does not is replaced. See file_save for what
 * failures and power cuts can do: nothing. */
Status state_save(const State *state, const char *directory, char name[STATE_NAME], Error *error);
/* Saves under a name of the caller's choice, with facts. */
Status state_save_as(const State *state, const char *path, const SafetensorsFact *facts, size_t fact_count,
                     Error *error);

/* Reads a state whose layout is the state's. STATUS_INVALID when it is another: the message says where they
 * differ. STATUS_CORRUPT when the file is damaged, also when it is called after a hash that is not its
 * content's. On failure the state is as it was. */
Status state_load(State *state, const char *path, Error *error);

/* Writes the parameters and variables of one group of a state file, under their plain names: the averages
 * where there are any. Facts: those given, and "averaged", which is "yes" or "no" (whether the parameters
 * are). */
Status state_export(const char *state_path, const char *group, const char *path, const SafetensorsFact *facts,
                    size_t fact_count, Error *error);

#endif
