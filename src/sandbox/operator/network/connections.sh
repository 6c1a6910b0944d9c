# Which connections can be opened from this pod. Hosts and ports come by environment (STORE_SCHEME, STORE_HOST, STORE_PORT,
# PRODUCTION_HOST, PRODUCTION_PORT, STRAY_HOST, STRAY_PORT) and are never part of this text. Prints one line a connection,
# in words of its own.
export LC_ALL=C

# `exec` ends this shell when it fails. $0 is the host, $1 the port, $2 the scheme.
readonly connection='
  exec 3<>"/dev/tcp/$0/$1"
  echo connected
  [ "$2" = http ] || exit 0
  printf "GET / HTTP/1.0\r\n\r\n" >&3
  read -r line <&3
  echo "$line"
'

attempt() { # host, port, scheme
  local said status
  timeout 5 getent ahosts "$1" >/dev/null 2>&1
  case $? in
    2) echo name-unknown; return ;;
    124) echo name-unanswered; return ;;
  esac
  said=$(timeout 3 bash -c "$connection" "$1" "$2" "$3" 2>&1)
  status=$?
  case $said in
    connected*)
      if [[ $3 != http ]]; then echo open
      elif [[ $said =~ HTTP/[0-9.]+\ [0-9]+ ]]; then echo "open ${BASH_REMATCH[0]}"
      else echo silent
      fi ;;
    *'Connection refused'*) echo refused ;;
    *'No route to host'* | *unreachable* | *'not permitted'* | *'Permission denied'*) echo unreachable ;;
    *'not known'* | *'name resolution'*) echo name-unknown ;;
    *) if ((status == 124)); then echo timeout; else echo failed; fi ;;
  esac
}

# A policy that admits this pod may act a moment late.
store() {
  local answer end=$((SECONDS + 15))
  while answer=$(attempt "$STORE_HOST" "$STORE_PORT" "$STORE_SCHEME"); [[ $answer != open* ]]; do
    ((SECONDS < end)) || break
    sleep 1
  done
  echo "$answer"
}

# A policy that shuts this pod off may act a moment late.
closed() { # host, port
  local answer
  answer=$(attempt "$1" "$2" none)
  if [[ $answer == open ]]; then
    sleep 1
    answer=$(attempt "$1" "$2" none)
  fi
  echo "$answer"
}

store=$(store)
production=$(closed "$PRODUCTION_HOST" "$PRODUCTION_PORT")
stray=$(closed "$STRAY_HOST" "$STRAY_PORT")
# By now the policies act, and what was open at first may be shut.
[[ $store == open* ]] && store=$(store)
echo "store $store"
echo "production $production"
echo "stray $stray"
