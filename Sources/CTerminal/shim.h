#pragma once
#include <pty.h>
#include <termios.h>
