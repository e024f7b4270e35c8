#pragma once
#include <errno.h>
#include <modbus.h>

/* Swift imports neither macros built from other macros nor anonymous enum sums: state them again. */
static const int HG_MODBUS_ENOBASE = MODBUS_ENOBASE;
static const int HG_EMBBADCRC = EMBBADCRC;
static const int HG_EMBBADDATA = EMBBADDATA;
static const int HG_EMBBADEXC = EMBBADEXC;
static const int HG_EMBUNKEXC = EMBUNKEXC;
static const int HG_EMBMDATA = EMBMDATA;
static const int HG_EMBBADSLAVE = EMBBADSLAVE;
