// defines: what a report needs the images and the model for
#pragma once

#include "tools/ptrain/inference.hpp"
#include "train/report/page.hpp"

namespace ptrain::cli {

struct PictureOptions {
  std::string data;  // folder of the images, where it is no longer that of the run
  int64_t mistakes = 8, draws = 6;
  std::string device = "auto";
  int64_t threads = 0;
  bool pictures = true;  // false: neither images nor model are opened
  bool quiet = false;
};

// Opens RUN/best.h5 and the images. For a run without predictions of single images it adds those of the validation part to `run`.
// Whatever is not there is named in the result and leaves its pictures out: a report never fails for it.
report::Pictures make_pictures(report::Run& run, const PictureOptions& options);

// RUN/report.html and RUN/figures/, as `ptrain report` writes them. Returns the page's path; what was left out goes to stderr.
std::filesystem::path make_report(const std::filesystem::path& run, const PictureOptions& options);

}  // namespace ptrain::cli
