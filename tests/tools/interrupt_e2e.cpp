// Ctrl-C in each stage; a resumed run computes the same bytes as one that was never interrupted.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <csignal>

#include <chrono>
#include <thread>

#include "tests/tools/program.hpp"

extern char** environ;

using namespace ptrain::test;

namespace {

// Starts ptrain, sends it a signal as soon as `ready` holds, and returns the exit code.
int interrupted(std::vector<std::string> arguments, int signal, const std::function<bool()>& ready) {
  arguments.insert(arguments.begin(), bin("ptrain").string());
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  REQUIRE(posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  bool sent = false;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (!sent && ready()) sent = kill(pid, signal) == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(sent);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool contains(const std::filesystem::path& file, const std::string& text) {
  std::error_code missing;
  return std::filesystem::exists(file, missing) && read_file(file).find(text) != std::string::npos;
}

void interrupt_and_resume(const std::string& until, int signal, int code) {
  const TempDir temp;
  make_data(temp / "data", 16);
  const std::vector<std::string> more{"--epochs", "6", "--fine-tune-epochs", "5", "--patience", "20", "--augment", "strong"};
  REQUIRE(run_ptrain(quick_training(temp / "data", temp / "whole", more)).code == 0);

  CHECK(interrupted(quick_training(temp / "data", temp / "cut", more), signal,
                    [&] { return contains(temp / "cut/log.txt", until) && contains(temp / "cut/history.csv", "\r\n"); }) == code);
  REQUIRE(std::filesystem::exists(temp / "cut/last.h5"));
  CHECK(read_file(temp / "cut/history.csv") != read_file(temp / "whole/history.csv"));
  const Finished resumed = run_ptrain({"train", "--resume", "--out", (temp / "cut").string(), "--quiet"});
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK(read_file(temp / "cut/history.csv") == read_file(temp / "whole/history.csv"));
  CHECK(weights_of(temp / "cut/best.h5") == weights_of(temp / "whole/best.h5"));
  CHECK(weights_of(temp / "cut/last.h5") == weights_of(temp / "whole/last.h5"));
}

}  // namespace

TEST_CASE("Ctrl-C in the frozen stage saves and resumes to the same bytes") { interrupt_and_resume("stage 'frozen'", SIGINT, 130); }
TEST_CASE("Ctrl-C in the fine-tuning saves and resumes to the same bytes") { interrupt_and_resume("stage 'fine-tune'", SIGINT, 130); }
TEST_CASE("SIGTERM saves as well") { interrupt_and_resume("stage 'frozen'", SIGTERM, 143); }

namespace {

// What an experiment found, without times, paths and what is hashed or stored with them.
nlohmann::json found(nlohmann::json j) {
  if (j.is_object())
    for (const char* varies :
         {"seconds", "images_per_s", "peak_mb", "created", "command", "config", "time", "model_sha256", "hashes", "from", "threads"})
      j.erase(varies);
  if (j.is_structured())
    for (auto& item : j) item = found(item);
  return j;
}

void interrupt_experiment(const std::string& folder, const std::string& until) {
  const TempDir temp;
  for (const char* part : {"train", "test"}) make_data(temp / "data" / part, std::string(part) == "train" ? 14 : 4, part);
  const auto experiment = [&](const char* out) {
    return std::vector<std::string>{"experiment",
                                    "--data",
                                    (temp / "data").string(),
                                    "--out",
                                    (temp / out).string(),
                                    "--weights",
                                    "formula",
                                    "--nets",
                                    "mobilenet_v2,vgg16",
                                    "--image-size",
                                    "64",
                                    "--batch",
                                    "8",
                                    "--epochs",
                                    "4",
                                    "--fine-tune-epochs",
                                    "5",
                                    "--fine-tune-lr",
                                    "1e-4",
                                    "--patience",
                                    "20",
                                    "--dense",
                                    "8",
                                    "--dropout",
                                    "0.2",
                                    "--quiet"};
  };
  const Finished whole = run_ptrain(experiment("whole"));
  INFO(whole.err);
  REQUIRE(whole.code == 0);
  CHECK(interrupted(experiment("cut"), SIGINT, [&] {
          return contains(temp / "cut" / folder / "log.txt", until) && contains(temp / "cut" / folder / "history.csv", "\r\n");
        }) == 130);
  REQUIRE(std::filesystem::exists(temp / "cut" / folder / "last.h5"));
  CHECK_FALSE(std::filesystem::exists(temp / "cut/best.h5"));
  const Finished resumed = run_ptrain({"experiment", "--resume", "--out", (temp / "cut").string(), "--quiet"});
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  const auto report = [&](const char* out) { return nlohmann::json::parse(read_file(temp / out / "report.json")); };
  CHECK(report("cut")["complete"] == true);
  CHECK(nlohmann::json::diff(found(report("cut")), found(report("whole"))).dump() == "[]");
  CHECK(found(report("cut"))["test"].contains("auc"));  // something is compared
  for (const char* same : {"split.csv", "compare_pairs.csv", "predictions_val.csv", "predictions_test.csv"})
    CHECK(read_file(temp / "cut" / same) == read_file(temp / "whole" / same));
  CHECK(read_file(temp / "cut" / folder / "history.csv") == read_file(temp / "whole" / folder / "history.csv"));
  CHECK(weights_of(temp / "cut/best.h5") == weights_of(temp / "whole/best.h5"));
}

}  // namespace

TEST_CASE("Ctrl-C in the second net of an experiment goes on to the same report") { interrupt_experiment("nets/vgg16", "stage 'frozen'"); }
TEST_CASE("Ctrl-C in the fine-tuning of an experiment goes on to the same report") {
  interrupt_experiment("fine_tune", "stage 'fine-tune'");
}

TEST_CASE("resuming with other settings is refused by name") {
  const TempDir temp;
  make_data(temp / "data", 8);
  REQUIRE(run_ptrain(quick_training(temp / "data", temp / "run")).code == 0);
  const Finished f = run_ptrain({"train", "--resume", "--out", (temp / "run").string(), "--lr", "0.5"});
  CHECK(f.code == 2);
  CHECK(f.err.find("--lr") != std::string::npos);
  const Finished none = run_ptrain({"train", "--resume", "--out", (temp / "nothing").string(), "--data", "x", "--weights", "none"});
  CHECK(none.code == 2);
  CHECK(none.err.find("last.h5") != std::string::npos);
}
