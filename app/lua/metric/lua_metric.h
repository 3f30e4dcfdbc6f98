/* brood.metric.core: the metrics of metrics/metrics.h, and what classifiers need to be run and kept. The
 * library's brood.metric puts names and defaults to it. */
#ifndef BROOD_APP_LUA_METRIC_H
#define BROOD_APP_LUA_METRIC_H

#include "app/lua/lua_binding.h"

#define STATISTICS_CLASS "brood.FrechetStatistics" /* a FrechetStatistics */

extern const BindingModule binding_metric;

/* Functions of the module that lie in lua_kept.c: states in files, hashes. */
int kept_save(lua_State *L), kept_load(lua_State *L), kept_hash(lua_State *L);

#endif
