// The experiment, its steps as commands of their own, and the test part that nothing may see, on a handful of films at 64×64.
#include "tests/tools/program.hpp"
#include "train/predictions_csv.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

using Options = std::vector<std::string>;

// DIR/train and DIR/test with films of the sample; whole patients each.
void make_parts(const fs::path& dir, size_t train, size_t test) {
  for (const auto& [part, n] : {std::pair("train", train), std::pair("test", test)})
    for (const char* label : {"NORMAL", "PNEUMONIA"}) {
      std::vector<fs::path> files;
      for (const auto& file : fs::directory_iterator(sample() / "chest_xray" / part / label)) files.push_back(file.path());
      std::sort(files.begin(), files.end());
      fs::create_directories(dir / part / label);
      for (size_t i = 0; i < n; ++i) fs::copy_file(files.at(i), dir / part / label / files[i].filename());
    }
}

// A split.csv that takes the images of the test part for validation.
std::string split_validating_on_test(const fs::path& data) {
  std::string split = "file,label,patient,part\n";
  for (const char* part : {"train", "test"})
    for (const char* label : {"NORMAL", "PNEUMONIA"})
      for (const auto& file : fs::directory_iterator(data / part / label))
        split += concat(part, "/", label, "/", file.path().filename().string(), ",", label, ",", file.path().stem().string(), ",",
                        std::string(part) == "test" ? "val" : "train", "\n");
  return split;
}

nlohmann::json json_of(const fs::path& path) { return nlohmann::json::parse(read_file(path)); }
size_t lines(const fs::path& path) {
  const std::string text = read_file(path);
  return size_t(std::count(text.begin(), text.end(), '\n'));
}

void refused(const Finished& f, int code, const std::string& text) {
  INFO(f.err);
  CHECK(f.code == code);
  CHECK(f.err.find(text) != std::string::npos);
}

}  // namespace

TEST_CASE("an experiment compares chooses fine-tunes and evaluates once") {
  const TempDir temp;
  make_parts(temp / "data", 14, 5);
  const fs::path run = temp / "run";
  const Options options = quick_experiment("experiment", temp / "data", run,
                                           {"--weights", "formula", "--nets", "mobilenet_v2,vgg16", "--operating-point", "sens=0.9"});
  const Finished f = run_ptrain(options);
  INFO(f.err);
  REQUIRE(f.code == 0);
  const nlohmann::json j = json_of(run / "report.json");
  CHECK(j["complete"] == true);
  for (const char* key : {"audit", "data", "compare", "choice", "fine_tune", "calibration", "validation", "test", "ledger", "hashes",
                          "seconds", "config", "command"})
    CHECK(j.contains(key));
  REQUIRE(j["compare"]["nets"].size() == 2);
  CHECK(j["compare"]["pairs"].size() == 1);
  for (const auto& net : j["compare"]["nets"]) {
    CHECK(net["kind"] == "formula");
    CHECK(net["val"]["auc_ci95"].size() == 2);
    CHECK(net["train"].contains("accuracy"));
    CHECK(lines(run / "nets" / net["net"].get<std::string>() / "history.csv") == 2);
  }
  CHECK(j["test"]["n"] == 10);
  CHECK(lines(run / "best.ledger.jsonl") == 1);  // once
  CHECK(lines(run / "predictions_test.csv") == 11);
  CHECK(j["calibration"]["operating_point"] == "sens=0.9");
  CHECK(j["validation"]["sensitivity"] >= 0.9);
  CHECK(j["validation"]["threshold"] == j["calibration"]["threshold"]);
  for (const char* file : {"compare.csv", "compare_pairs.csv", "split.csv", "predictions_val.csv", "log.txt", "resolved.toml", "best.h5"})
    CHECK(fs::exists(run / file));

  // The chosen model is what the rail says.
  const std::string kept = j["fine_tune"]["kept"].get<bool>() ? "fine_tune" : "nets/" + j["choice"]["net"].get<std::string>();
  CHECK(read_file(run / "best.h5") == read_file(run / kept / "best.h5"));

  // `ptrain evaluate` says the same of it, and going on changes nothing and does not look at the test part again.
  const Finished e = run_ptrain({"evaluate", "--model", (run / "best.h5").string(), "--data", (temp / "data").string(), "--part", "val",
                                 "--split", (run / "split.csv").string(), "--json", "--quiet"});
  CHECK(nlohmann::json::parse(e.out)["auc"] == j["validation"]["auc"]);
  CHECK(nlohmann::json::parse(e.out)["threshold"] == j["calibration"]["threshold"]);
  CHECK(j["calibration"]["threshold"] != 0.5);
  CHECK(nlohmann::json::parse(e.out)["log_loss"].get<double>() == doctest::Approx(j["validation"]["log_loss"].get<double>()).epsilon(1e-6));
  // The correction for other class shares changes what 0.5 means and no decision at the threshold.
  const Finished shifted = run_ptrain({"evaluate", "--model", (run / "best.h5").string(), "--data", (temp / "data").string(), "--part",
                                       "val", "--split", (run / "split.csv").string(), "--json", "--quiet", "--prior-shift"});
  INFO(shifted.err);
  REQUIRE(shifted.code == 0);
  CHECK(nlohmann::json::parse(shifted.out)["confusion"] == nlohmann::json::parse(e.out)["confusion"]);
  CHECK(nlohmann::json::parse(shifted.out)["log_loss"] != nlohmann::json::parse(e.out)["log_loss"]);
  const Finished again = run_ptrain({"experiment", "--resume", "--out", run.string()});
  INFO(again.err);
  REQUIRE(again.code == 0);
  CHECK(json_of(run / "report.json")["test"] == j["test"]);
  CHECK(lines(run / "best.ledger.jsonl") == 3);  // two by `evaluate --part val`
  CHECK(json_of(run / "report.json")["test_note"].get<std::string>().find("used once") !=
        std::string::npos);  // these are no use of the test part
}

TEST_CASE("an experiment without a test part and with missing weights says so") {
  const TempDir temp;
  make_data(temp / "data", 12);
  fs::create_directories(temp / "W");
  fs::copy_file(sample() / "mobilenet_v2.h5", temp / "W/mobilenet_v2.h5");
  const Finished f = run_ptrain(
      quick_experiment("experiment", temp / "data", temp / "run",
                       {"--weights-dir", (temp / "W").string(), "--nets", "mobilenet_v2,resnet50", "--fine-tune-epochs", "0", "--json"}));
  INFO(f.err);
  REQUIRE(f.code == 0);
  const nlohmann::json j = nlohmann::json::parse(f.out);
  CHECK(j["test"].is_null());
  CHECK(j["test_note"].get<std::string>().find("no test part") != std::string::npos);
  CHECK(j["compare"]["nets"][1]["status"] == "missing");
  CHECK(j["compare"]["nets"][1]["get"].get<std::string>() == "tools/fetch-weights --out " + (temp / "W").string() + " resnet50");
  CHECK(j["compare"]["nets"][0]["kind"] == "pretrained");
  CHECK_FALSE(j.contains("fine_tune"));
  refused(run_ptrain(quick_experiment("compare", temp / "data", temp / "none", {"--nets", "resnet50"})), 4, "none of them has weights");
  CHECK(run_ptrain(quick_experiment("compare", temp / "data", temp / "none", {"--nets", "resnet50"}))
            .err.find("tools/fetch-weights resnet50") != std::string::npos);
}

TEST_CASE("--conv reaches the trainings of compare, fine-tune and experiment") {
  const TempDir temp;
  make_data(temp / "data", 10);
  const auto said = [&](const std::string& conv) {
    const fs::path out = temp / conv;
    REQUIRE(run_ptrain(quick_experiment("compare", temp / "data", out, {"--weights", "formula", "--nets", "vgg16", "--conv", conv})).code ==
            0);
    return read_predictions(out / "nets/vgg16/predictions_val.csv").predictions.probabilities;
  };
  const std::vector<double> direct = said("direct"), winograd = said("winograd");
  CHECK(direct != winograd);  // other sums
  CHECK(difference(direct, winograd, 1e-3, 0) == "");
  for (const Options& more : {Options{"compare", "--weights", "formula"},
                              {"experiment", "--weights", "formula"},
                              {"fine-tune", "--from", (temp / "direct/nets/vgg16/best.h5").string()}}) {
    Options o = quick_experiment(more[0], temp / "data", temp / "refused", {more[1], more[2], "--conv", "fast"});
    refused(run_ptrain(o), 2, "fast");
  }
}

TEST_CASE("fine-tune goes on from a run with its split and keeps what is better") {
  const TempDir temp;
  make_parts(temp / "data", 14, 3);
  Options train = quick_training(temp / "data", temp / "run", {"--fraction", "0.5", "--fine-tune-epochs", "0"});
  REQUIRE(run_ptrain(train).code == 0);
  const Finished f =
      run_ptrain(quick_experiment("fine-tune", temp / "data", temp / "tuned", {"--from", (temp / "run").string(), "--json"}));
  INFO(f.err);
  REQUIRE(f.code == 0);
  const nlohmann::json j = nlohmann::json::parse(f.out);
  CHECK(j["unfrozen_from"] == "block_12_expand");
  const bool better = j["after"]["auc"] > j["before"]["auc"] ||
                      (j["after"]["auc"] == j["before"]["auc"] && j["after"]["log_loss"] <= j["before"]["log_loss"]);
  CHECK(j["kept"] == better);
  if (!better) CHECK(read_file(temp / "tuned/best.h5") == read_file(temp / "run/best.h5"));
  // The same validation images, and all others in training.
  const std::string before = read_file(temp / "run/split.csv"), after = read_file(temp / "tuned/split.csv");
  const auto count = [](const std::string& text, const std::string& part) {
    size_t n = 0;
    for (size_t at = text.find("," + part + "\n"); at != std::string::npos; at = text.find("," + part + "\n", at + 1)) ++n;
    return n;
  };
  CHECK(count(before, "unused") > 0);
  CHECK(count(after, "unused") == 0);
  CHECK(count(after, "val") == count(before, "val"));
  // A rate that wrecks the net is caught by the rail.
  const Finished wrecked =
      run_ptrain(quick_experiment("fine-tune", temp / "data", temp / "wrecked",
                                  {"--from", (temp / "run/best.h5").string(), "--optimizer", "sgd", "--fine-tune-lr", "300", "--json"}));
  if (wrecked.code == 0)
    CHECK((nlohmann::json::parse(wrecked.out)["kept"] == false ||
           nlohmann::json::parse(wrecked.out)["after"]["auc"] >= nlohmann::json::parse(wrecked.out)["before"]["auc"]));
  else CHECK(wrecked.code == 6);
  refused(run_ptrain(quick_experiment("fine-tune", temp / "data", temp / "run", {"--from", (temp / "run").string()})), 2,
          "folder of the model itself");
}

TEST_CASE("a planted duplicate and a patient in two parts and a test folder for validation are leaks") {
  const TempDir temp;
  make_parts(temp / "data", 8, 4);
  const std::string data = (temp / "data").string();
  const auto check = [&] { return run_ptrain({"check", data}); };
  REQUIRE(check().code == 0);
  const fs::path train = temp / "data/train/PNEUMONIA", test = temp / "data/test/PNEUMONIA";
  const auto first = [](const fs::path& dir) {
    std::vector<fs::path> files;
    for (const auto& file : fs::directory_iterator(dir)) files.push_back(file.path());
    return *std::min_element(files.begin(), files.end());
  };
  const auto all_refuse = [&](const std::string& text) {
    refused(check(), 7, text);
    refused(run_ptrain(quick_training(temp / "data", temp / "run1")), 7, "test part");
    refused(run_ptrain(quick_experiment("experiment", temp / "data", temp / "run2", {"--weights", "formula", "--nets", "mobilenet_v2"})), 7,
            text);
    refused(run_ptrain(quick_experiment("compare", temp / "data", temp / "run3", {"--weights", "formula", "--nets", "mobilenet_v2"})), 7,
            "test part");
  };

  fs::copy_file(first(test), train / "person9999_virus_1.jpeg");  // the same bytes under another patient's name
  all_refuse("have the same bytes");
  const Finished f = run_ptrain(
      quick_experiment("experiment", temp / "data", temp / "run2", {"--weights", "formula", "--nets", "mobilenet_v2", "--override-lock"}));
  INFO(f.err);
  CHECK(f.code == 0);
  CHECK(read_file(temp / "run2/log.txt").find("WARNING: --override-lock") != std::string::npos);
  CHECK(read_file(temp / "run2/best.ledger.jsonl").find("override_lock") != std::string::npos);
  CHECK(read_file(temp / "run2/split.csv").find("person9999_virus_1.jpeg,PNEUMONIA,person9999_virus,unused") != std::string::npos);
  fs::remove(train / "person9999_virus_1.jpeg");

  const std::string patient = first(test).filename().string();  // another film, the same patient
  fs::copy_file(first(train), train / (patient.substr(0, patient.rfind('_')) + "_99999.jpeg"));
  all_refuse("is in test and in train");
  fs::remove(train / (patient.substr(0, patient.rfind('_')) + "_99999.jpeg"));

  // A split that takes test images for validation.
  write_file(temp / "split.csv", split_validating_on_test(temp / "data"));
  refused(run_ptrain(quick_training(temp / "data", temp / "run5", {"--split", (temp / "split.csv").string()})), 7, "test part");
  refused(run_ptrain({"check", data, "--split", (temp / "split.csv").string()}), 7, "test part");
  for (const char* command : {"compare", "experiment"})
    refused(run_ptrain(quick_experiment(command, temp / "data", temp / "run6",
                                        {"--weights", "formula", "--nets", "mobilenet_v2", "--split", (temp / "split.csv").string()})),
            7, "test part");
  // The test folder under the name of val/.
  fs::copy(temp / "data/test", temp / "data/val", fs::copy_options::recursive);
  all_refuse("test");
}

TEST_CASE("fine-tuning refuses a test part that is in training or that the model was trained on") {
  const TempDir temp;
  make_parts(temp / "data", 12, 4);
  REQUIRE(run_ptrain(quick_training(temp / "data", temp / "run", {"--fine-tune-epochs", "0", "--epochs", "1"})).code == 0);
  const auto tune = [&](const fs::path& data, const std::string& out, Options more = {}) {
    more.insert(more.begin(), {"--from", (temp / "run").string()});
    return run_ptrain(quick_experiment("fine-tune", data, temp / out, more));
  };
  REQUIRE(tune(temp / "data", "good").code == 0);

  // Another folder, whose test part is what the model was trained on.
  fs::create_directories(temp / "other");
  fs::copy(temp / "data/train", temp / "other/test", fs::copy_options::recursive);
  fs::copy(temp / "data/test", temp / "other/train", fs::copy_options::recursive);
  refused(tune(temp / "other", "a"), 7, "was trained on patients of the test part");
  CHECK_FALSE(fs::exists(temp / "a/best.h5"));

  // The folder of the run, with a film that is also in the test part now, under another name.
  std::vector<fs::path> films;
  for (const auto& file : fs::directory_iterator(temp / "data/train/PNEUMONIA")) films.push_back(file.path());
  const fs::path copy = temp / "data/test/PNEUMONIA/person9999_virus_1.jpeg";
  fs::copy_file(*std::min_element(films.begin(), films.end()), copy);
  refused(tune(temp / "data", "b"), 7, "has the same bytes as");
  fs::remove(copy);

  // Another film of a patient whom the model knows.
  const std::string known = films[0].filename().string();
  fs::copy_file(fs::directory_iterator(temp / "data/test/PNEUMONIA")->path(),
                temp / "data/test/PNEUMONIA" / (known.substr(0, known.rfind('_')) + "_99999.jpeg"));
  refused(tune(temp / "data", "c"), 7, "was trained on patients of the test part");
  const auto evaluated = [&](const fs::path& data) {
    return run_ptrain({"evaluate", "--model", (temp / "run/best.h5").string(), "--data", data.string(), "--quiet"});
  };
  const Finished warned = evaluated(temp / "other");
  CHECK(warned.code == 0);
  CHECK(warned.err.find("WARNING: the model was trained on patients of 24 of these images") != std::string::npos);
  CHECK(read_file(temp / "run/best.ledger.jsonl").find("\"known_to_model\":24") != std::string::npos);
  const Finished loud = run_ptrain({"fine-tune", "--from", (temp / "run").string(), "--data", (temp / "data").string(), "--out",
                                    (temp / "d").string(), "--batch", "8", "--fine-tune-epochs", "1", "--override-lock"});
  INFO(loud.err);
  CHECK(loud.code == 0);
  CHECK(loud.err.find("WARNING: --override-lock") != std::string::npos);

  // The test folder as validation.
  write_file(temp / "split.csv", split_validating_on_test(temp / "data"));
  refused(tune(temp / "data", "e", {"--split", (temp / "split.csv").string(), "--override-lock"}), 7, "test part");
}

TEST_CASE("check names what is wrong and writes JSON") {
  const TempDir temp;
  make_parts(temp / "data", 6, 2);
  for (const char* label : {"NORMAL", "PNEUMONIA"}) {
    fs::create_directories(temp / "data/val" / label);
    fs::copy_file(temp / "data/train" / label / fs::directory_iterator(temp / "data/train" / label)->path().filename(),
                  temp / "data/val" / label / "copy.jpeg");
  }
  write_file(temp / "data/train/NORMAL/broken.png", "not an image");
  const Finished f = run_ptrain({"check", (temp / "data").string(), "--json"});
  INFO(f.err);
  REQUIRE(f.code == 0);  // train and val may share: they are pooled
  const nlohmann::json j = nlohmann::json::parse(f.out);
  CHECK(j["bad"].size() == 1);
  CHECK(j["duplicates"].size() == 2);
  CHECK(j["parts"]["val"]["n"] == 2);
  CHECK(j["features"].size() == 8);
  CHECK(j["statistics"]["NORMAL"]["mean"]["mean"].get<double>() > 0);
  CHECK(j["shortcut"]["auc"].is_number());
  bool useless = false;
  for (const auto& note : j["notes"]) useless |= note.get<std::string>().find("val/ has 2 images") == 0;
  CHECK(useless);
  CHECK(run_ptrain({"check", (temp / "data").string()}).out.find("broken.png") != std::string::npos);
  CHECK(run_ptrain({"check", (temp / "nothing").string()}).code == 3);
}
