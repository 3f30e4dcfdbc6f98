/* brood.metric.core: the metrics of metrics/metrics.h, and what classifiers need to be run and kept. The
 * library's brood.metric puts names and defaults to it. */
#ifndef BROOD_APP_LUA_METRIC_H
#define BROOD_APP_LUA_METRIC_H

#include "app/lua/lua_binding.h"

extern const BindingModule binding_metric;

/* Functions of the module that lie in lua_batch.c: images in batches, states in files, hashes. */
int batch_take(lua_State *L), batch_put(lua_State *L), batch_save(lua_State *L), batch_load(lua_State *L);
int batch_hash(lua_State *L), batch_finite(lua_State *L);

#endif
