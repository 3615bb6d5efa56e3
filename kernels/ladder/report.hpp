// defines: ptrain_ladder_report(), what `ptrain kernels` asks the library of the ladders for
#pragma once

// The figures of every step whose name begins with `ladder` ("" for all), run once in the emulator, as JSON: [{"name": …, "changes": …,
// …}]. The text is good until the next call. On an error it begins with "error: ".
extern "C" const char* ptrain_ladder_report(const char* ladder);
