// defines: what all training commands do around the training itself: images, splits, leaks, the model's description
#pragma once

#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {

using Say = std::function<void(const std::string&)>;  // one line for the user
Say to_screen(bool quiet);                            // stderr, or nowhere

// What a run was told when it began is what it goes on with. `before`, `now`: resolved.toml. Error{usage} names the option that differs.
void same_settings(const std::string& before, const std::string& now);

// Net, head, classes and input size, as the options say.
ModelSpec model_spec(const TrainOptions&, const std::string& net, const Manifest&);
int64_t image_side(const TrainOptions&, const std::string& net);  // of the net's input

// The split: that of a file, or a new one with the wanted fraction of training images.
Split make_split(const TrainOptions&, Manifest&);
// The same with all training images; the one in `out` when a command goes on.
Split whole_split(const TrainOptions&, Manifest&, const std::filesystem::path& out);

// Training and validation images of the split, and of the test part the bytes alone, are looked at: the same file or the same patient in
// the test part and in the others is Error{leak}. With --override-lock the training loses these images instead, loudly.
// Returns what was found, a line each.
std::vector<std::string> keep_test_apart(Manifest&, Split&, bool override_lock, int threads, const Say&);

// Those of the images whose patient the split.csv beside the model has in train or val, a line each: the model has learnt from this patient
// or was chosen by it. Nothing without that file.
std::vector<std::string> known_to_model(const std::filesystem::path& model, const Manifest&, const std::vector<int64_t>& images);

std::unique_ptr<ImageCache> fill_cache(const TrainOptions&, int64_t side, const Manifest&, const std::vector<int64_t>& images,
                                       const std::shared_ptr<Memory>&, int threads, const Say&);
// The readable images of a split. The cache must outlive the result.
FitData fit_data(const Manifest&, const Split&, const ImageCache&);

std::string describe(const Manifest&, const std::vector<int64_t>& images);  // "200 images (NORMAL 80, PNEUMONIA 120)"

std::string read_text(const std::filesystem::path&, const std::string& doing);  // a whole file; Error{data} when it cannot be read
void write_text(const std::filesystem::path&, const std::string& text);         // a whole file, or none

void reset_peak_memory();  // where the kernel lets us; else peaks are those of the whole process
int64_t peak_memory_megabytes();

}  // namespace ptrain::cli
