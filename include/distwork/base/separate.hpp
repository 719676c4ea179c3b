#pragma once

#include "requirements.hpp"

// Where functions that are no templates are compiled. By default in each file that includes their header, which includes
// impl/HEADER.ipp for that. With DISTWORK_SEPARATE_COMPILATION once in a program, by impl/src.hpp: other files then
// neither compile these functions, nor instantiate the templates in them. Functions with static objects are not among
// them: these must be the same ones in files that are compiled either way.
#ifdef DISTWORK_SEPARATE_COMPILATION
#define DISTWORK_DECL
#else
#define DISTWORK_DECL inline
#endif
