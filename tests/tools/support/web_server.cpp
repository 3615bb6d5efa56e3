#include "tests/tools/support/web_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "kernels/error.hpp"

namespace ptrain::test {

WebServer::WebServer(const std::map<std::string, std::string>& files)
    : files_(files),
      socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE_THAT(socket_ >= 0 && bind(socket_, generic, size) == 0 && listen(socket_, 8) == 0 && getsockname(socket_, generic, &size) == 0,
               "no socket on loopback");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

WebServer::~WebServer() {
  shutdown(socket_, SHUT_RDWR);
  thread_.join();
  close(socket_);
}

std::string WebServer::url() const { return concat("http://127.0.0.1:", port_); }

std::vector<std::string> WebServer::requests() {
  const std::lock_guard guard(lock_);
  return std::exchange(requests_, {});
}

void WebServer::serve() {
  for (int connection; (connection = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
    answer(connection);
    close(connection);
  }
}

void WebServer::answer(int connection) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    request.append(buffer, size_t(got));
  }
  const std::string path = request.substr(4, request.find(' ', 4) - 4);
  const size_t range = request.find("Range: bytes=");
  size_t from = range == std::string::npos ? 0 : std::stoull(request.substr(range + 13));
  {
    const std::lock_guard guard(lock_);
    requests_.push_back(from == 0 ? path : concat(path, " from ", from));
  }
  const auto file = files_.find(path);
  if (!ranges_) from = 0;
  std::string head, body;
  if (file == files_.end()) head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  else if (from > 0 && from >= file->second.size()) head = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n";
  else {
    const size_t size = file->second.size();
    head = concat(from == 0 ? "HTTP/1.1 200 OK" : "HTTP/1.1 206 Partial Content", "\r\nContent-Length: ", size - from, "\r\n");
    if (from > 0) head += concat("Content-Range: bytes ", from, "-", size - 1, "/", size, "\r\n");
    head += "Connection: close\r\n\r\n";
    body = file->second.substr(from, limit_ == 0 ? std::string::npos : size_t(limit_));
  }
  head += body;
  for (size_t sent = 0; sent < head.size();) {
    const ssize_t put = send(connection, head.data() + sent, head.size() - sent, MSG_NOSIGNAL);
    if (put <= 0) return;
    sent += size_t(put);
  }
}

}  // namespace ptrain::test
