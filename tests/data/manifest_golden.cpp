// What image_dataset_from_directory finds in a folder.
#include <fstream>

#include "data/manifest.hpp"
#include "kernels/error.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

TEST_CASE("classes and files and their order are those of Keras") {
  NEEDS_GOLDENS("images/directory.json");
  const nlohmann::json golden = read_json(shared() / "keras/images/directory.json");
  const TempDir dir;
  for (const std::string file : golden["tree"]) {
    std::filesystem::create_directories((dir / file).parent_path());
    std::ofstream(dir / file) << "x";
  }
  // Keras keeps a class without images; a classifier cannot learn it, and here it is an error (tests/data/manifest.cpp).
  CHECK_THROWS_AS(read_folder(dir.path()), Error);
  std::filesystem::remove_all(dir / "empty");
  const Manifest m = read_folder(dir.path());

  std::vector<std::string> classes = golden["shuffle_false"]["class_names"];
  const std::vector<int> labels = golden["shuffle_false"]["labels"];
  std::vector<std::string> files, label_names, golden_label_names;
  for (const Entry& e : m.entries) files.push_back(e.path), label_names.push_back(m.classes[size_t(e.label)]);
  for (int label : labels) golden_label_names.push_back(classes[size_t(label)]);
  std::erase(classes, "empty");
  CHECK(m.classes == classes);
  CHECK(files == golden["shuffle_false"]["files"].get<std::vector<std::string>>());
  CHECK(label_names == golden_label_names);
}

TEST_CASE("the X-ray folder has the images and patients that its notes name") {
  if (!present("goldens", shared() / "data/chest_xray")) return;
  const Manifest m = read_folder(shared() / "data/chest_xray");
  CHECK(m.classes == std::vector<std::string>{"NORMAL", "PNEUMONIA"});
  CHECK(m.class_counts(m.of(Part::train)) == std::vector<int64_t>{1341, 3875});
  CHECK(m.class_counts(m.of(Part::val)) == std::vector<int64_t>{8, 8});
  for (const Entry& e : m.entries) {
    CHECK(names_a_patient(std::filesystem::path(e.path).filename().string()));
    CHECK(e.patient.starts_with(e.label == 1 ? "person" : e.path.find("NORMAL2") != std::string::npos ? "NORMAL2-IM-" : "IM-"));
  }
}

}  // namespace ptrain::test
